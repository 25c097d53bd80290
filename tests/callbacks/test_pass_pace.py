import types

import pytest
import torch

from presize.callbacks.base import Callback
from presize.callbacks.pass_pace import PassPace, waiting_share
from presize.core.ranks import Rank
from presize.data.flow import Flow
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner


def make_flow(batches, seconds, first, waited):
    flow = Flow()
    flow.batches, flow.seconds, flow.first, flow._waited = batches, seconds, first, waited
    return flow


def test_the_start_of_a_pass_is_no_waiting():
    assert waiting_share(make_flow(10, 12.0, 2.0, 7.0)) == pytest.approx(0.5)
    assert waiting_share(make_flow(10, 12.0, 2.0, 2.0)) == 0.0
    assert waiting_share(make_flow(10, 12.0, 2.0, 12.5)) == 1.0


def test_of_a_pass_that_has_just_begun_nothing_is_said():
    assert waiting_share(Flow()) is None
    assert waiting_share(make_flow(2, 3.0, 1.0, 2.0)) is None
    assert waiting_share(make_flow(9, 1.0, 1.0, 1.0)) is None


def fake(world=1, **given):
    defaults = {"dl": [], "iter": 0, "n_iter": 10, "xb": (torch.zeros(4, 3, 8, 8),)}
    place = torch.device("cpu")
    return types.SimpleNamespace(ranks=Rank(0, world), place=place, **(defaults | given))


def test_pictures_are_counted_over_all_processes(monkeypatch):
    monkeypatch.setattr("presize.callbacks.pass_pace.perf_counter", lambda: 0.0)
    learn = fake(world=2)
    pace = PassPace(learn)
    assert pace.figures(learn, 0.0, 1) == ()
    assert pace.figures(learn, 2.0, 6) == ("0:01 left", "20 img/s")


def test_a_pass_that_is_gone_on_with_counts_from_where_it_begins(monkeypatch):
    monkeypatch.setattr("presize.callbacks.pass_pace.perf_counter", lambda: 0.0)
    learn = fake(iter=99, n_iter=200, xb=(torch.zeros(4, 3),))
    pace = PassPace(learn)
    assert pace.figures(learn, 10.0, 110) == ("1:30 left", "4.0 items/s")


def test_the_share_of_waiting_is_told_of_loaders_that_know_it():
    class Looks(Callback):
        order = 80

        def __init__(self):
            self.seen = []

        def after_batch(self, learn):
            flow = learn.dl.flow
            flow._waited = flow.first + 0.25 * (flow.seconds - flow.first)
            self.pace = PassPace(learn) if learn.iter == 0 else self.pace
            self.seen.append(self.pace.figures(learn, 1.0, learn.iter + 1)[-1:])

    items = [(torch.randn(3), torch.randn(1)) for _ in range(20)]
    loader, looks = DataLoader(items, batch_size=4), Looks()
    learn = Learner(DataLoaders(loader, loader), torch.nn.Linear(3, 1), torch.nn.MSELoss())
    learn.validate(cbs=looks)
    assert looks.seen[-1] == ("waits 25 %",) and "waits" not in str(looks.seen[:2])
