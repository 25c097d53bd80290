import pytest
import torch
from torch import nn

from presize.callbacks import pass_bar as module
from presize.callbacks.base import Callback
from presize.callbacks.pass_bar import pass_bar
from presize.core.progress import working
from presize.core.screen import ScreenBar
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner


class Looks(Callback):
    order = 80

    def __init__(self, terminal):
        self.terminal, self.seen = terminal, []

    def after_batch(self, learn):
        self.seen.append(self.terminal.lines()[-1])


@pytest.fixture
def at_once(monkeypatch):
    """Draw bars of short work, too, and at every step."""
    monkeypatch.setattr("presize.core.progress.REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(module, "working", lambda *given: working(*given, delay=0))


def make_learner():
    items = [(torch.randn(3), torch.randn(1)) for _ in range(10)]
    loader = DataLoader(items, batch_size=4)
    return Learner(DataLoaders(loader, loader), nn.Linear(3, 1), nn.functional.mse_loss)


def test_predictions_are_counted_in_items(terminal, at_once):
    learn, looks = make_learner(), Looks(terminal)
    learn.get_preds(cbs=looks)
    assert [line.split("  ")[0] for line in looks.seen] == ["predicting"] * 3
    assert [n in line for n, line in zip(("4/10", "8/10", "10/10"), looks.seen, strict=True)] == [
        True
    ] * 3
    assert terminal.lines() == [""]


def test_batches_without_a_data_set_are_counted_as_far_as_is_known(terminal, at_once):
    learn, looks = make_learner(), Looks(terminal)
    batches = [(torch.randn(n, 3), torch.randn(n, 1)) for n in (4, 4, 2)]
    learn.validate(dl=batches, cbs=looks)
    assert [n in line for n, line in zip(("4/12", "8/12", "10/10"), looks.seen, strict=True)] == [
        True
    ] * 3
    assert looks.seen[0].startswith("validating")


@pytest.mark.parametrize(
    ("order", "counts"),
    [
        ({"drop_last": True}, ("4/8", "8/8")),
        ({"sampler": range(6)}, ("4/8", "6/6")),
        ({"weights": [1.0] * 10}, ("4/12", "8/12", "10/10")),
    ],
)
def test_the_count_ends_with_all_where_items_are_left_out(terminal, at_once, order, counts):
    learn, looks = make_learner(), Looks(terminal)
    learn.validate(dl=learn.dls.valid.new(**order), cbs=looks)
    assert len(looks.seen) == len(counts)
    assert all(n in line for n, line in zip(counts, looks.seen, strict=True)), looks.seen


def test_where_no_bar_is_wanted_there_is_none(terminal, at_once):
    learn, looks = make_learner(), Looks(terminal)
    with learn.no_bar():
        learn.get_preds(cbs=looks)
    with learn.no_logging():
        learn.validate(cbs=looks)
    assert set(looks.seen) == {""}
    with learn.no_bar(), pass_bar(learn, "predicting") as cbs:
        assert cbs == []


def test_an_error_takes_the_bar_away(terminal, at_once):
    class Fails(Callback):
        def after_batch(self, learn):
            raise KeyError("no")

    with pytest.raises(KeyError):
        make_learner().get_preds(cbs=Fails())
    assert terminal.lines() == [""]


def test_the_search_for_a_rate_counts_its_steps(terminal, at_once, monkeypatch):
    drawn = []
    draw = ScreenBar.draw
    monkeypatch.setattr(
        ScreenBar, "draw", lambda self, bar: (draw(self, bar), drawn.append(terminal.lines()))
    )
    make_learner().lr_find(num_it=6, show_plot=False, stop_div=False)
    assert len(drawn) == 7 and {len(lines) for lines in drawn} == {1}
    for i, (line,) in enumerate(drawn):
        assert line.startswith("looking for a rate  ") and f"{i}/6" in line
    assert terminal.lines() == [""]
