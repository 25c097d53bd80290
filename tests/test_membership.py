"""Callbacks that take part for a while, and those that come and go in between."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import Callback
from presize.callbacks.ema import EMA
from presize.callbacks.progress import ProgressCallback
from presize.callbacks.recorder import Recorder
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner


def make_learner(**options):
    x = torch.randn(8, 3)
    data = list(zip(x, x.sum(1, keepdim=True), strict=True))
    dls = DataLoaders(DataLoader(data, 4), DataLoader(data, 4), device="cpu")
    return Learner(dls, nn.Linear(3, 1), F.mse_loss, **options)


class Plain(Callback):
    """Does nothing, at its place in the order."""

    def __eq__(self, other):
        return isinstance(other, Plain)

    __hash__ = None


class Refuses(Callback):
    """Does not want to be added, after it has brought another one."""

    def after_create(self, learn):
        learn.add_cb(Plain())
        raise RuntimeError("not here")


def test_a_recorder_of_one_fit_takes_the_place_of_the_learners_own_in_it(capsys):
    learn, other = make_learner(), Recorder(train_metrics=True)
    own, before = learn.recorder, list(learn.cbs)
    with learn.no_bar():
        learn.fit(1, cbs=other)
    assert capsys.readouterr().out.count("[0, ") == 1, "one row, not one of each"
    assert (len(other.values), len(own.values)) == (1, 0)
    assert learn.recorder is own
    assert list(map(id, learn.cbs)) == list(map(id, before))
    assert learn.validate() == other.values[0][1:]


def test_a_recorder_that_is_added_stays_in_the_place_of_the_one_before():
    learn, other = make_learner(), Recorder()
    with learn.no_bar():
        learn.add_cb(other)
    assert [cb for cb in learn.cbs if isinstance(cb, Recorder)] == [other]
    assert learn.recorder is other
    assert [cb for cb in learn.cbs if isinstance(cb, ProgressCallback)]


@pytest.mark.parametrize("way", ["fit", "add_cbs"])
def test_a_callback_that_refuses_is_not_there(way):
    learn = make_learner()
    own, before = learn.recorder, list(learn.cbs)
    with pytest.raises(RuntimeError, match="not here"):
        if way == "fit":
            learn.fit(1, cbs=[Recorder(), Refuses()])
        else:
            learn.add_cbs([Recorder(), Refuses()])
    assert list(map(id, learn.cbs)) == list(map(id, before))
    assert learn.recorder is own


def test_what_is_added_or_removed_in_between_stays_so():
    learn, gone = make_learner(), Plain()
    learn.add_cb(gone)
    before = list(learn.cbs)
    ema, last = EMA(), Plain()
    with learn.no_bar(), learn.added_cbs([Plain(), Plain()]):
        learn.add_cb(ema).add_cb(last)
        learn.remove_cb(gone)
        assert len(learn.cbs) == len(before) + 2
    expected = sorted(
        [*(cb for cb in before if cb is not gone), ema, last], key=lambda cb: cb.order
    )
    assert list(map(id, learn.cbs)) == list(map(id, expected))


def test_so_it_does_from_inside_a_fit():
    class Swap(Callback):
        def before_fit(self, learn):
            learn.remove_cb(self)
            learn.add_cb(EMA())

    learn = make_learner(cbs=Swap())
    with learn.no_logging():
        learn.fit(1, cbs=Plain())
        learn.fit(1)
    kinds = [type(cb) for cb in learn.cbs]
    assert kinds.count(EMA) == 1 and Swap not in kinds and Plain not in kinds


def test_what_comes_back_has_its_place_among_its_equals():
    first, second, third = Plain(), Plain(), Plain()
    learn = make_learner(cbs=[first, second, third])
    with learn.removed_cbs([second]):
        learn.remove_cb(first)
    assert [id(cb) for cb in learn.cbs if isinstance(cb, Plain)] == [id(second), id(third)]


def test_one_that_is_there_already_is_there_once_afterwards():
    twice = Plain()
    learn = make_learner(cbs=twice)
    with learn.added_cbs(twice):
        assert sum(cb is twice for cb in learn.cbs) == 2
    assert sum(cb is twice for cb in learn.cbs) == 1
