import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import Callback
from presize.callbacks.regularise import GradientAccumulation, GradientClip
from presize.core.errors import TrainingError
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.optim import SGD


class Gradients(Callback):
    """Writes down the gradients that the optimizer is about to see."""

    order = 90

    def __init__(self):
        self.seen = []

    def before_step(self, learn):
        self.seen.append([p.grad.clone() for p in learn.model.parameters()])


def pairs(n):
    x = 10 * torch.randn(n, 3)
    return list(zip(x, x.sum(1, keepdim=True), strict=True))


def gradients_of(*cbs, bs=4, n=12, **options):
    torch.manual_seed(0)
    items = pairs(n)
    dls = DataLoaders(DataLoader(items, bs), DataLoader(items, bs), device="cpu")
    seen = Gradients()
    learn = Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, lr=1e-5, cbs=[seen, *cbs], **options)
    with learn.no_logging():
        learn.fit(1)
    return seen.seen, learn


def norm(gradients, kind=2.0):
    return torch.linalg.vector_norm(torch.cat([g.flatten() for g in gradients]), kind).item()


@pytest.mark.parametrize("kind", [1.0, 2.0, float("inf")])
def test_a_norm_above_the_limit_is_brought_down_to_it_and_keeps_its_direction(kind):
    free, _ = gradients_of()
    clipped, _ = gradients_of(GradientClip(0.5, norm_type=kind))
    assert norm(free[0], kind) > 10
    assert norm(clipped[0], kind) == pytest.approx(0.5, rel=1e-4)
    for before, after in zip(free[0], clipped[0], strict=True):
        ratio = norm(free[0], kind) / norm(clipped[0], kind)
        assert torch.allclose(before, after * ratio, rtol=1e-4)


def test_a_norm_below_the_limit_is_left_alone():
    free, _ = gradients_of()
    clipped, _ = gradients_of(GradientClip(1e6))
    assert all(torch.equal(a, b) for a, b in zip(free[0], clipped[0], strict=True))


def test_single_elements_can_be_limited():
    free, _ = gradients_of()
    clipped, _ = gradients_of(GradientClip(value=0.25))
    for before, after in zip(free[0], clipped[0], strict=True):
        assert torch.equal(before.clamp(-0.25, 0.25), after)


def test_weights_without_gradients_are_no_obstacle():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(3, 1), nn.Linear(3, 1)

        def forward(self, x):
            return self.used(x)

    items = pairs(4)
    dls = DataLoaders(DataLoader(items, 4), DataLoader(items, 4), device="cpu")
    learn = Learner(dls, Half(), F.mse_loss, SGD, lr=0.1, cbs=GradientClip(0.1, value=1.0))
    before = learn.model.used.weight.detach().clone()
    with learn.no_logging():
        learn.fit(1)
    assert 0 < (learn.model.used.weight - before).norm() <= 0.1 * 0.1 + 1e-6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="fp16 scales its loss on CUDA alone")
def test_what_is_clipped_in_fp16_are_the_true_gradients():
    items = pairs(12)
    dls = DataLoaders(DataLoader(items, 4), DataLoader(items, 4), device="cuda")
    seen = Gradients()
    cbs = [seen, GradientClip(0.5)]
    learn = Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, lr=1e-5, cbs=cbs, precision="fp16")
    with learn.no_logging():
        learn.fit(4)
    norms = [norm(g) for g in seen.seen if all(t.isfinite().all() for t in g)]
    assert norms and norms == pytest.approx([0.5] * len(norms), rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "GradientClip needs a limit: GradientClip(max_norm=1.0)"),
        ({"max_norm": 0.0}, "GradientClip(max_norm=…) is a number above 0, but got 0.0."),
        ({"value": -1.0}, "GradientClip(value=…) is a number above 0, but got -1.0."),
    ],
)
def test_limits_that_make_no_sense_are_refused(arguments, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        GradientClip(**arguments)


def test_its_repr_shows_the_limits():
    assert repr(GradientClip(1.0, value=0.5)) == "GradientClip(max_norm=1.0, value=0.5)"


def test_accumulated_gradients_are_those_of_the_large_batch():
    large, _ = gradients_of(bs=8, n=20)
    small, learn = gradients_of(GradientAccumulation(8), bs=4, n=20)
    assert len(large) == len(small) == 3
    for a, b in zip(large, small, strict=True):
        assert all(torch.allclose(x, y, rtol=1e-5) for x, y in zip(a, b, strict=True))
    assert learn.accumulate == 1


def test_items_are_rounded_up_to_whole_batches_and_the_learners_own_number_returns():
    seen = []

    class Look(Callback):
        def before_batch(self, learn):
            seen.append(learn.accumulate)

    _, learn = gradients_of(GradientAccumulation(9), Look(), accumulate=2)
    assert set(seen) == {3}
    assert learn.accumulate == 2


def test_the_number_returns_after_an_error_too():
    class Fail(Callback):
        def before_step(self, learn):
            raise RuntimeError("out of luck")

    items = pairs(8)
    dls = DataLoaders(DataLoader(items, 4), None, device="cpu")
    learn = Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, cbs=[GradientAccumulation(8), Fail()])
    with learn.no_logging(), pytest.raises(RuntimeError, match="out of luck"):
        learn.fit(1)
    assert learn.accumulate == 1


def test_a_loader_without_a_batch_size_is_told_apart():
    batches = [(torch.randn(4, 3), torch.randn(4, 1))]
    dls = DataLoaders(batches, batches, device="cpu")
    learn = Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, cbs=GradientAccumulation(8))
    with learn.no_logging(), pytest.raises(TrainingError, match="learn.accumulate = 4"):
        learn.fit(1)


@pytest.mark.parametrize("n_acc", [0, -1, 2.5, True])
def test_a_number_of_items_is_a_whole_number_above_0(n_acc):
    with pytest.raises(ValueError, match=f"1 or more, but got {n_acc!r}"):
        GradientAccumulation(n_acc)
