"""A fit with a limit of time, on a clock that the model moves."""

import re
import threading
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks import budget
from presize.callbacks.base import Callback, CancelStep
from presize.callbacks.budget import TimeBudget
from presize.callbacks.checkpoint import Checkpoints
from presize.core.ranks import Rank
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train import duration
from presize.train.optim import SGD
from presize.train.schedules import one_cycle

STEPS = 20  # in an epoch


class Clock(nn.Module):
    """A model that takes as many seconds as it is told, by a clock that nothing else moves."""

    def __init__(self, train=1.0, valid=0.5):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
        self.seconds = {True: train, False: valid}
        self.now, self.extra = 1000.0, {}
        self.calls = 0

    def forward(self, x):
        if self.training:
            self.calls += 1
            self.now += self.extra.get(self.calls, 0.0)
        self.now += self.seconds[self.training]
        return self.layers(x)


@pytest.fixture
def make(monkeypatch):
    def learner(n_valid=4, train=1.0, valid=0.5, **options):
        x = torch.randn(2 * STEPS, 3)
        data = list(zip(x, x.sum(1, keepdim=True), strict=True))
        dls = DataLoaders(DataLoader(data, 2), DataLoader(data[: 2 * n_valid], 2), device="cpu")
        clock = Clock(train, valid)
        for module in (budget, duration):
            monkeypatch.setattr(module, "perf_counter", lambda: clock.now)
        options = {"lr": 0.01, "opt_func": SGD} | options
        return Learner(dls, clock, F.mse_loss, **options)

    return learner


def run(learn, method="fit", *args, **options):
    """Return how long a fit took by the clock."""
    begin = learn.model.now
    with learn.no_bar():
        getattr(learn, method)(*args, **options)
    return learn.model.now - begin


def test_the_schedule_ends_with_the_time(make):
    learn = make()
    took = run(learn, "fit_one_cycle", 10, 0.1, max_time="60s")
    assert 58 <= took <= 60
    rates = learn.recorder.lrs
    expected = one_cycle(0.1)["lr"]
    n = len(rates)
    assert 50 < n < 58  # four validations of 2 s were made, all but one between epochs
    assert learn.pct_train == 1.0
    # The first two steps tell how fast it goes; from there on all is as planned for n steps.
    assert max(rates) == pytest.approx(0.1, rel=0.01)
    assert rates.index(max(rates)) == pytest.approx(0.25 * n, abs=1.5)
    assert rates[-1] == pytest.approx(expected(1 - 1 / n), rel=0.5)
    assert rates[-1] < 2e-3 * max(rates)
    falling = rates[rates.index(max(rates)) :]
    assert falling == sorted(falling, reverse=True), "no jump where an epoch begins"


def test_it_ends_with_a_validation_and_a_full_table(make):
    learn = make()
    run(learn, "fit", 10, max_time=60)
    rows = learn.recorder.values
    assert len(rows) == 3
    assert all(None not in row for row in rows)
    assert learn.epoch == 2
    loss = learn.validate()[0]
    assert rows[-1][1] == pytest.approx(loss)


def test_with_enough_time_nothing_changes(make):
    torch.manual_seed(0)
    free = make()
    torch.manual_seed(0)
    limited = make()
    run(free, "fit_one_cycle", 2, 0.1)
    run(limited, "fit_one_cycle", 2, 0.1, max_time="1h")
    assert limited.recorder.lrs == free.recorder.lrs
    assert torch.equal(limited.model.layers[0].weight, free.model.layers[0].weight)


def test_slow_first_steps_do_not_shorten_the_schedule(make):
    learn = make()
    learn.model.extra = {1: 30.0}
    took = run(learn, "fit_one_cycle", 10, 0.1, max_time="100s")
    assert 97 <= took <= 100
    assert len(learn.recorder.lrs) > 55
    assert max(learn.recorder.lrs) > 0.095
    assert learn.recorder.lrs[-1] < 5e-4


def test_a_pause_is_made_up_for(make):
    learn = make()
    learn.model.extra = {25: 20.0}
    took = run(learn, "fit_one_cycle", 10, 0.1, max_time="100s")
    assert 97 <= took <= 101
    assert learn.recorder.lrs[-1] < 1e-3
    assert learn.pct_train == 1.0


def test_a_machine_that_gets_slower(make):
    learn = make()
    learn.model.extra = {call: call * 0.05 for call in range(200)}
    took = run(learn, "fit_one_cycle", 10, 0.1, max_time="120s")
    assert 112 <= took <= 123
    assert learn.recorder.lrs[-1] < 2e-3


def test_a_limit_within_the_first_epoch(make):
    learn = make()
    assert run(learn, "fit_one_cycle", 1, 0.1, max_time=12) == 12
    assert len(learn.recorder.values) == 1
    assert len(learn.recorder.lrs) == 10


def test_a_large_validation_set_does_not_take_the_time_of_training(make):
    learn = make(n_valid=STEPS, valid=0.3)  # 20 s of training, 6 s of validation
    assert 48 <= run(learn, "fit", 4, max_time=50) <= 50


def test_one_step_is_made_in_any_case(make):
    learn = make()
    run(learn, "fit", 3, max_time="0.01s")
    assert len(learn.recorder.lrs) == 1
    assert len(learn.recorder.values) == 1


def test_without_validation(make):
    learn = make()
    learn.dls = DataLoaders(learn.dls.train, None, device="cpu")
    took = run(learn, "fit", 5, max_time=45)
    assert 44 <= took <= 45
    assert len(learn.recorder.lrs) in (44, 45)


def test_a_long_validation_is_known_after_the_first(make):
    learn = make(valid=5.0)
    took = run(learn, "fit", 10, max_time=100)
    # 20 steps and 20 s of validation: 40 s an epoch, and 20 s are too short for another.
    assert took == 80


def test_a_first_validation_that_takes_all_the_time_is_told(make, capsys):
    learn = make(valid=5.0)
    assert run(learn, "fit", 10, max_time=30) == 40
    line = capsys.readouterr().out.splitlines()[-1]
    assert "20 steps of at most 200 took 40s" in line
    assert re.search(r"The schedule came to [78]\d%, since a validation took longer", line)


def test_accumulated_batches_are_not_cut(make):
    steps = []

    class Count(Callback):
        def after_step(self, learn):
            steps.append(learn.iter)

    learn = make(accumulate=4, cbs=Count())
    run(learn, "fit", 10, max_time=43)
    assert len(learn.recorder.lrs) % 4 == 0
    assert len(steps) == len(learn.recorder.lrs) // 4


def test_steps_that_a_callback_cancels_do_not_keep_it_going(make):
    class Never(Callback):
        def before_step(self, learn):
            raise CancelStep

    learn = make(cbs=Never())
    assert run(learn, "fit", 10, max_time=43) <= 44


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("fit_flat_cos", (10, 0.1)), ("fit_sgdr", (3, 2, 0.1))],
)
def test_other_recipes_end_in_time_and_at_the_end_of_their_schedule(make, method, arguments):
    learn = make()
    took = run(learn, method, *arguments, max_time="1m20s")
    assert 77 <= took <= 80
    assert learn.recorder.lrs[-1] < 2e-3
    assert max(learn.recorder.lrs) == pytest.approx(0.1)


def test_fine_tune_shares_its_time(make):
    splitter = lambda m: [list(layer.parameters()) for layer in m.layers]  # noqa: E731
    learn = make(splitter=splitter)
    parts = []

    class Parts(Callback):
        def after_fit(self, learn):
            parts.append((len(learn.recorder.lrs), learn.model.layers[0].weight.requires_grad))

    took = run(learn, "fine_tune", 3, 0.1, 1, max_time="60s", cbs=Parts())
    assert 55 <= took <= 60
    (head, frozen), (whole, trained) = parts
    assert (frozen, trained) == (False, True)
    assert head == 13  # in 15 s, with 2 s of validation
    assert 35 <= whole <= 45


@pytest.mark.parametrize("steps", [10, 13])
def test_a_resumed_fine_tune_counts_the_time_of_its_first_part(make, tmp_path, steps):
    class Die(Callback):
        """Ends the program after so many steps of the first part, or at its end."""

        order = 20000
        alive = False

        def after_batch(self, learn):
            if learn.training and learn.train_iter == steps < 13 and not self.alive:
                raise KeyboardInterrupt

        def after_fit(self, learn):
            if learn.recorder.values and not self.alive:
                raise KeyboardInterrupt

    splitter = lambda m: [list(layer.parameters()) for layer in m.layers]  # noqa: E731
    torch.manual_seed(0)
    learn = make(splitter=splitter, path=tmp_path)
    cbs = [Checkpoints(every_steps=1), Die()]
    with pytest.raises(KeyboardInterrupt):
        run(learn, "fine_tune", 3, 0.1, 1, max_time="60s", cbs=cbs)
    spent = learn.model.now - 1000.0
    assert spent == (15 if steps == 13 else 10)  # 13 steps, and 2 s of validation
    Die.alive = True
    torch.manual_seed(0)
    again = make(splitter=splitter, path=tmp_path)
    took = run(again, "resume", cbs=Die())
    assert 55 <= spent + took <= 60


def test_it_says_in_one_line_what_it_did(make, capsys):
    learn = make()
    run(learn, "fit", 10, max_time="60s")
    line = [line for line in capsys.readouterr().out.splitlines() if "max_time" in line]
    steps = len(learn.recorder.lrs)
    assert line == [
        f"max_time=1m: {steps} steps of at most 200 took {line[0].split('took ')[1].split()[0]} "
        "with validation. The schedule was fitted to them; the last epoch is 2."
    ]
    run(learn, "fit", 1, max_time="1h")
    assert "max_time=1h: all 20 steps of the schedule took 22s." in capsys.readouterr().out
    with learn.no_logging():
        learn.fit(1, max_time="1h")
    assert capsys.readouterr().out == ""


def test_two_limits_are_refused(make):
    learn = make(cbs=TimeBudget("1h"))
    with pytest.raises(ValueError, match=r"TimeBudget\('1h'\) and TimeBudget\('20m'\)|'20m'.*'1h'"):
        learn.fit(1, max_time="20m")


def test_a_wrong_limit_is_told_before_anything_is_trained(make):
    with pytest.raises(ValueError, match='"90s", "20m" or "1h30m", but got \'soon\''):
        make().fit(1, max_time="soon")


def test_it_starts_anew_in_every_fit(make):
    learn = make(cbs=TimeBudget(30))
    assert 27 <= run(learn, "fit", 5) <= 30
    assert 27 <= run(learn, "fit", 5) <= 30


def test_it_rests_while_a_rate_is_looked_for(make, capsys):
    learn = make(cbs=TimeBudget(5))
    learn.lr_find(num_it=40, show_plot=False)
    assert learn.model.calls >= 30
    assert "max_time" not in capsys.readouterr().out


def test_a_resumed_run_has_the_time_that_was_left(make):
    """What a checkpoint does: keep the state in mid-epoch, and put it into another fit."""
    kept = {}

    class Keep(Callback):
        order = 90

        def after_batch(self, learn):
            if learn.training and learn.epoch == 1 and learn.iter == 9:
                kept.update(learn.cbs[1].state_dict())

    learn = make(cbs=[TimeBudget("100s"), Keep()])
    assert isinstance(learn.cbs[1], TimeBudget)
    run(learn, "fit", 10)
    steps = len(learn.recorder.lrs)
    assert kept["used"] == pytest.approx(32.0)

    class Put(Callback):
        order = -8

        def before_fit(self, learn):
            learn.cbs[1].load_state_dict(kept)

    again = make(cbs=[TimeBudget("5s"), Put()])
    took = run(again, "fit", 10, start_epoch=2)
    assert 64 <= took <= 68
    assert abs(len(again.recorder.lrs) + 30 - steps) <= 3
    assert again.pct_train == 1.0


class TwoAtOnce:
    """Two processes, played by threads: what they say is joined; each has its own clock."""

    def __init__(self):
        self.meeting = threading.Barrier(2, timeout=20)
        self.given, self.asked = {}, [0, 0]
        self.mine = threading.local()

    def all_cat(self, tensor):
        self.given[self.mine.number] = tensor
        self.asked[self.mine.number] += 1
        self.meeting.wait()
        both = torch.cat([self.given[0], self.given[1]])
        self.meeting.wait()
        return both

    def parallel(self, number):
        return SimpleNamespace(
            rank=Rank(number, 2),
            around=lambda model: model,
            share=lambda i, n: 1.0,
            accumulating=lambda on: nullcontext(),
        )

    def fit(self, number, learn, rates, **options):
        self.mine.number, self.mine.clock = number, learn.model
        learn.parallel = self.parallel(number)
        learn.logger = lambda cells: None
        with learn.no_bar():
            learn.fit_one_cycle(10, 0.1, **options)
        rates[number] = learn.recorder.lrs


def test_processes_that_train_together_end_at_the_same_step(make, monkeypatch):
    two, rates = TwoAtOnce(), {}
    learners = make(), make(train=1.3)
    monkeypatch.setattr(budget, "all_cat", two.all_cat)
    monkeypatch.setattr(budget, "perf_counter", lambda: two.mine.clock.now)
    threads = [
        threading.Thread(target=two.fit, args=(number, learn, rates), kwargs={"max_time": 100})
        for number, learn in enumerate(learners)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert rates[0] == rates[1]
    assert two.asked[0] == two.asked[1] < len(rates[0])
    slower = learners[1].model.now - 1000
    assert 90 <= slower <= 104
    assert rates[0][-1] < 2e-3


def test_the_state_is_what_json_can_hold(make):
    import json

    learn = make(cbs=TimeBudget("100s"))
    run(learn, "fit", 1)
    state = learn.cbs[1].state_dict()
    other = TimeBudget(1)
    other.load_state_dict(json.loads(json.dumps(state)))
    assert other.state_dict() == state
