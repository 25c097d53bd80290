"""When checkpoints are written, which of them stay, and what signals do."""

import os
import signal

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks import checkpoint
from presize.callbacks.base import Callback, Callbacks
from presize.callbacks.checkpoint import Checkpoints
from presize.callbacks.progress import ProgressCallback
from presize.callbacks.saving import EarlyStoppingCallback
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train import checkpoint_files
from presize.train.checkpoint_files import CheckpointFolder
from presize.train.optim import SGD
from presize.train.state import load_meta, load_state

STEPS = 5


def pairs(n, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=g)
    return list(zip(x, x @ torch.tensor([[1.0], [-2.0], [0.5]]), strict=True))


def make_learner(path, *, lr=0.1, **options):
    dls = DataLoaders(DataLoader(pairs(40), 8), DataLoader(pairs(20, 1), 8), device="cpu")
    return Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, lr=lr, path=path, **options)


def halves(model):
    return [[model.weight], [model.bias]]


def quiet_fit(learn, *args, **options):
    with learn.no_logging():
        learn.fit(*args, **options)


class At(Callback):
    """Does something in an event of one training or validation batch."""

    def __init__(self, event, iteration, do, *, training=True, epoch=1):
        self.where = training, epoch, iteration
        self.do = do
        self._event = event

    def _look(self, learn, event):
        if event == self._event and (learn.training, learn.epoch, learn.iter) == self.where:
            self.do(learn)

    def before_batch(self, learn):
        self._look(learn, "before_batch")

    def after_backward(self, learn):
        self._look(learn, "after_backward")

    def after_epoch(self, learn):
        if self._event == "after_epoch" and learn.epoch == self.where[1]:
            self.do(learn)


def places(learn):
    metas = [load_meta(p) for p in sorted((learn.path / "checkpoints").glob("checkpoint-*"))]
    return [(m["epoch"], "end" if m["over"] else m["batch"]) for m in metas]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(0, "end"), (1, "end")]),
        ({"every_epoch": False, "every_steps": 3}, [(0, 3), (1, 1), (1, 4)]),
        ({"every_steps": 3}, [(0, 3), (0, "end"), (1, 3), (1, "end")]),
        (
            {"every_epoch": False, "every_minutes": 0},
            [(e, b + 1) for e in (0, 1) for b in range(5)],
        ),
    ],
)
def test_they_are_written_when_they_were_asked_for(tmp_path, options, expected):
    learn = make_learner(tmp_path)
    quiet_fit(learn, 2, cbs=Checkpoints(**options, keep=100))
    assert places(learn) == expected


def test_one_is_written_before_a_validation_if_the_last_is_old(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_DOOR_SECONDS", 0.0)
    learn = make_learner(tmp_path)
    quiet_fit(learn, 1, cbs=Checkpoints(keep=100))
    assert places(learn) == [(0, STEPS), (0, "end")]


def test_they_lie_between_steps_of_the_optimizer(tmp_path):
    learn = make_learner(tmp_path, accumulate=2)
    quiet_fit(learn, 1, cbs=Checkpoints(every_steps=1, every_epoch=False, keep=100))
    assert places(learn) == [(0, 2), (0, 4), (0, 5)]


def test_nothing_is_written_of_weights_that_are_lost(tmp_path):
    class Lose(Callback):
        def after_loss(self, learn):
            if learn.training and learn.train_iter >= 2:
                learn.loss = learn.loss * float("nan")

    learn = make_learner(tmp_path)
    learn.cbs = Callbacks([cb for cb in learn.cbs if type(cb).__name__ != "DivergenceWatch"])
    quiet_fit(learn, 1, cbs=[Checkpoints(every_steps=1, every_epoch=False, keep=100), Lose()])
    assert places(learn) == [(0, 1), (0, 2)]


def test_the_last_few_stay_and_the_best(tmp_path):
    learn = make_learner(tmp_path)

    class Better(Callback):
        order = 55

        def after_epoch(self, learn):
            learn.recorder.values[-1][1] = [0.5, 0.3, 0.4, float("nan"), 0.35][learn.epoch]

    keep = Checkpoints(keep=1, monitor="valid_loss")
    quiet_fit(learn, 5, cbs=[keep, Better()])
    assert places(learn) == [(4, "end")]
    best = learn.path / "checkpoints/best.safetensors"
    assert load_meta(best)["epoch"] == 1
    assert keep.best == 0.3
    learn.load(best)
    assert torch.equal(learn.model.weight, load_state(best)[0]["model.weight"])


def test_the_highest_is_the_best_of_what_is_no_loss(tmp_path):
    def closeness(preds, targs):
        return -(preds - targs).abs().mean()

    learn = make_learner(tmp_path, metrics=closeness)
    keep = Checkpoints(monitor="closeness")
    quiet_fit(learn, 3, cbs=keep)
    assert keep.best == max(row[2] for row in learn.recorder.values)


def test_nothing_unpickles_and_nothing_half_written_is_left(tmp_path):
    learn = make_learner(tmp_path)
    quiet_fit(learn, 2, cbs=Checkpoints())
    names = sorted(p.name for p in (learn.path / "checkpoints").iterdir())
    assert names == ["checkpoint-000001.safetensors", "checkpoint-000002.safetensors"]


def test_a_full_disk_does_not_end_the_training(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("presize.train.checkpoint_files.save_state", full)
    learn = make_learner(tmp_path)
    with pytest.warns(UserWarning, match="could not be written, and training goes on: .*No space"):
        quiet_fit(learn, 2, cbs=Checkpoints())
    assert len(learn.recorder.values) == 2


def test_a_full_disk_does_so_neither_where_the_best_is_kept(tmp_path, monkeypatch):
    def full(self, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CheckpointFolder, "keep_best", full)
    learn, keep = make_learner(tmp_path), Checkpoints(monitor="valid_loss")
    with pytest.warns(UserWarning, match="best checkpoint could not be kept, and training goes on"):
        quiet_fit(learn, 2, cbs=keep)
    assert len(learn.recorder.values) == 2
    assert keep.best is None


class Table(Callback):
    """Puts figures of a test's own into the column of the validation loss."""

    order = 55

    def __init__(self, *figures):
        self.figures = iter(figures)

    def after_epoch(self, learn):
        learn.recorder.values[-1][1] = next(self.figures)


def test_the_best_is_that_of_the_whole_run(tmp_path):
    learn, keep = make_learner(tmp_path, splitter=halves), Checkpoints(monitor="valid_loss")
    with learn.no_logging():
        learn.fine_tune(2, cbs=[keep, Table(0.1, 0.9, 0.8)])
    assert keep.best == 0.1
    best = load_meta(tmp_path / "checkpoints/best.safetensors")
    assert (best["fit"], best["epoch"]) == (0, 0)
    quiet_fit(learn, 1, cbs=[keep, Table(0.7)])
    assert keep.best == 0.7


class Killed(BaseException):
    pass


def test_the_best_is_kept_by_the_resumed_run_if_it_was_killed_before(tmp_path, monkeypatch):
    figures = [0.5, 0.1, 0.4, 0.3]
    real = CheckpointFolder.keep_best

    def killed_at_the_second(self, path):
        if load_meta(path)["epoch"] == 1:
            raise Killed
        return real(self, path)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(CheckpointFolder, "keep_best", killed_at_the_second)
        cbs = [Checkpoints(monitor="valid_loss"), Table(*figures)]
        quiet_fit(make_learner(tmp_path), 4, cbs=cbs)
    best = tmp_path / "checkpoints/best.safetensors"
    assert load_meta(best)["epoch"] == 0
    learn, keep = make_learner(tmp_path), Checkpoints(monitor="valid_loss")
    with learn.no_logging():
        learn.resume(cbs=[keep, Table(*figures[2:])])
    assert keep.best == 0.1
    assert load_meta(best)["epoch"] == 1


# ---- one run after another ---------------------------------------------------------------------


def die(learn):
    raise Killed


def names(folder):
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


def test_those_of_the_run_before_are_set_aside_until_a_new_one_has_its_first(tmp_path):
    folder, keep = tmp_path / "checkpoints", Checkpoints(monitor="valid_loss")
    quiet_fit(make_learner(tmp_path), 3, cbs=keep)
    before = ["best.safetensors", "checkpoint-000002.safetensors", "checkpoint-000003.safetensors"]
    with pytest.raises(Killed):
        quiet_fit(make_learner(tmp_path), 3, cbs=[keep, At("before_batch", 3, die, epoch=0)])
    assert names(folder) == ["earlier"]
    assert names(folder / "earlier") == before
    assert keep.last is None
    learn = make_learner(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"a new run began.* are in .*earlier.* move them"):
        learn.resume()
    quiet_fit(learn, 1, cbs=keep)
    assert names(folder) == ["best.safetensors", "checkpoint-000001.safetensors"]


def test_a_run_that_is_gone_on_with_sets_nothing_aside(tmp_path):
    aside = []

    class Look(Callback):
        order = 1e6

        def before_fit(self, learn):
            aside.append((tmp_path / "checkpoints/earlier").exists())

    keep = Checkpoints(keep=9)
    with pytest.raises(Killed):
        quiet_fit(make_learner(tmp_path), 2, cbs=[keep, Look(), At("before_batch", 3, die)])
    learn = make_learner(tmp_path)
    with learn.no_logging():
        learn.resume(cbs=[keep, Look(), At("before_batch", 9, die)])
    assert places(learn) == [(0, "end"), (1, "end")]
    assert aside == [False, False]


def test_the_second_part_of_a_recipe_sets_nothing_aside(tmp_path):
    learn = make_learner(tmp_path, splitter=halves)
    with learn.no_logging():
        learn.fine_tune(1, cbs=Checkpoints())
    assert places(learn) == [(0, "end"), (0, "end")]


# ---- signals -----------------------------------------------------------------------------------


def raise_signal(number):
    return lambda learn: os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("event", "iteration", "place"),
    [("before_batch", 2, (1, 3)), ("after_backward", 4, (1, 5)), ("after_epoch", 0, (1, "end"))],
)
def test_sigterm_writes_a_checkpoint_and_ends_the_program(
    tmp_path, capsys, event, iteration, place
):
    learn, handlers = make_learner(tmp_path), signal.getsignal(signal.SIGTERM)
    ended = []

    class End(Callback):
        def after_fit(self, learn):
            ended.append(True)

    do = At(event, iteration, raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit) as caught:
        quiet_fit(learn, 3, cbs=[Checkpoints(every_epoch=False), do, End()])
    assert caught.value.code == 143
    assert ended == [True]
    assert places(learn) == [place]
    assert signal.getsignal(signal.SIGTERM) == handlers
    said = capsys.readouterr().err
    assert said.startswith("SIGTERM came, training stopped at epoch 1, batch ")
    assert "checkpoint-000001.safetensors; learn.resume() goes on from it." in said


def test_in_a_validation_the_last_checkpoint_is_the_one_before(tmp_path, capsys):
    learn = make_learner(tmp_path)
    do = At("before_batch", 1, raise_signal(signal.SIGTERM), training=False)
    with pytest.raises(SystemExit):
        quiet_fit(learn, 3, cbs=[Checkpoints(), do])
    assert places(learn) == [(0, "end")]
    assert "at epoch 1, batch 1 of validation. The last checkpoint is" in capsys.readouterr().err


def test_without_any_checkpoint_that_is_said(tmp_path, capsys):
    learn = make_learner(tmp_path)
    do = At("before_batch", 1, raise_signal(signal.SIGTERM), training=False, epoch=0)
    with pytest.raises(SystemExit):
        quiet_fit(learn, 3, cbs=[Checkpoints(), do])
    assert "There is no checkpoint yet: begin again." in capsys.readouterr().err


@pytest.mark.parametrize(("recipe", "epochs"), [("fit", 2), ("fine_tune", 2)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_a_checkpoint_is_written_is_answered(
    tmp_path, monkeypatch, recipe, epochs, number
):
    real = checkpoint_files.save_state

    def save_state(path, **options):
        real(path, **options)
        if path.stem.endswith("1" if recipe == "fine_tune" else "2"):
            os.kill(os.getpid(), number)

    monkeypatch.setattr(checkpoint_files, "save_state", save_state)
    learn, keep = make_learner(tmp_path, splitter=halves), Checkpoints()
    with learn.no_logging(), pytest.raises((SystemExit, KeyboardInterrupt)):
        getattr(learn, recipe)(epochs, cbs=keep)
    assert keep.last.stem.endswith("1" if recipe == "fine_tune" else "2")


@pytest.mark.parametrize("order", [9999, 10001])
def test_a_signal_at_the_end_of_a_fit_is_answered(tmp_path, order):
    learn = make_learner(tmp_path)
    send = At("after_epoch", 0, raise_signal(signal.SIGTERM), epoch=1)
    send.order = order
    early = EarlyStoppingCallback(patience=1)
    with pytest.raises(SystemExit):
        try:
            raise KeyError
        except KeyError:
            quiet_fit(learn, 3, cbs=[Checkpoints(), Table(0.1, 0.2), early, send])
    assert len(learn.recorder.values) == 2
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_error_that_ends_the_fit_is_told_before_a_signal(tmp_path):
    def fail(learn):
        os.kill(os.getpid(), signal.SIGTERM)
        raise ArithmeticError

    learn, keep = make_learner(tmp_path), Checkpoints()
    with pytest.raises(ArithmeticError):
        quiet_fit(learn, 1, cbs=[keep, At("before_batch", 2, fail, epoch=0)])
    quiet_fit(learn, 1, cbs=keep)


def test_ctrl_c_writes_a_checkpoint_and_leaves_a_usable_learner(tmp_path, capsys):
    learn = make_learner(tmp_path)
    do = At("after_backward", 2, raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        quiet_fit(learn, 3, cbs=[Checkpoints(every_epoch=False), do])
    assert places(learn) == [(1, 3)]
    assert capsys.readouterr().err.startswith("Ctrl-C came")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert all(p.grad is None for p in learn.model.parameters())
    quiet_fit(learn, 1)


@pytest.mark.parametrize("event", ["before_batch", "after_backward"])
def test_ctrl_c_leaves_a_usable_learner_also_without_checkpoints(tmp_path, monkeypatch, event):
    monkeypatch.setenv("PRESIZE_PLAIN", "1")
    learn = make_learner(tmp_path, accumulate=2)
    with pytest.raises(KeyboardInterrupt):
        learn.fit(3, cbs=At(event, 2, raise_signal(signal.SIGINT)))
    assert all(p.grad is None for p in learn.model.parameters())
    assert learn.logger is print
    twin = make_learner(tmp_path, accumulate=2)
    twin.model.load_state_dict(learn.model.state_dict())
    for one in (learn, twin):
        one.fit(1)
    assert torch.equal(learn.model.weight, twin.model.weight)
    learn.validate()


# ---- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"every_epoch": False, "every_minutes": None}, "would never write"),
        ({"every_steps": 0}, "every_steps is a number of steps, 1 or more, but got 0"),
        ({"every_minutes": -1}, "every_minutes is a number of minutes, but got -1"),
        ({"keep": 0}, "keep is how many checkpoints stay, 1 or more, but got 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Checkpoints(**options)


def test_a_column_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="best by `valid_los`.*Did you mean `valid_loss`"):
        quiet_fit(make_learner(tmp_path), 1, cbs=Checkpoints(monitor="valid_los"))


def test_two_in_one_fit_are_refused(tmp_path):
    learn = make_learner(tmp_path, cbs=Checkpoints(keep=5))
    with pytest.raises(ValueError, match=r"Checkpoints\(keep=5\) and Checkpoints\(\)"):
        quiet_fit(learn, 1, cbs=Checkpoints())


def test_a_column_that_would_stay_empty_is_refused(tmp_path):
    learn = make_learner(tmp_path)
    learn.dls = DataLoaders(learn.dls.train, device="cpu")
    with pytest.raises(ValueError, match="Checkpoints is to follow `valid_loss`"):
        quiet_fit(learn, 1, cbs=Checkpoints(monitor="valid_loss"))


def test_a_state_that_no_file_can_hold_is_refused_before_training(tmp_path):
    class Odd(Callback):
        def state_dict(self):
            return {"where": tmp_path}

    class Late(Callback):
        def before_train(self, learn):
            self.ready = 1

        def state_dict(self):
            return {"ready": self.ready}

    learn = make_learner(tmp_path)
    with pytest.raises(TypeError, match=r"`Odd.state_dict\(\).where` is a PosixPath"):
        quiet_fit(learn, 1, cbs=[Checkpoints(), Odd()])
    assert learn.train_iter == 0
    quiet_fit(learn, 1, cbs=[Checkpoints(), Late()])


def test_its_repr_says_what_is_unusual(tmp_path):
    assert repr(Checkpoints()) == "Checkpoints()"
    assert repr(Checkpoints(every_steps=3, folder="x")) == "Checkpoints(every_steps=3, folder='x')"


def test_lr_find_writes_nothing(tmp_path):
    learn = make_learner(tmp_path, cbs=Checkpoints(every_steps=1))
    learn.lr_find(num_it=8, show_plot=False)
    assert not (tmp_path / "checkpoints").exists()


def test_the_bar_is_closed_before_the_program_ends(tmp_path):
    class View:
        stopped = False

        def start(self, names): ...
        def bar(self, bar): ...
        def row(self, cells): ...
        def stop(self):
            View.stopped = True

    learn = make_learner(tmp_path)
    learn.remove_cb(ProgressCallback)
    do = At("before_batch", 2, raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit):
        learn.fit(3, cbs=[Checkpoints(), ProgressCallback(View()), do])
    assert View.stopped
