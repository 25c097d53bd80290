"""Plans of mixtures against their definitions, and pixels against a loop over the items."""

import numpy as np
import pytest
import torch
from scipy import stats  # type: ignore[import-untyped]

from presize.augment.mix import (
    MixPlan,
    blend,
    blend_targets,
    generator,
    larger_share,
    one_hot,
    plan_cutmix,
    plan_either,
    plan_mixup,
)

HW = (12, 20)


def rng(step: int = 0) -> np.random.Generator:
    return generator(1, 2, step, 0, "test")


def test_shares_of_mixup_are_beta_distributed_the_larger_part_ones_own() -> None:
    for alpha in (0.2, 0.4, 1.0, 3.0):
        plan = plan_mixup(rng(), 20_000, alpha=alpha)
        assert plan.boxes is None
        assert plan.share.min() >= 0.5
        # Folded at 1/2: P(max(s, 1-s) <= x) = cdf(x) - cdf(1 - x).
        beta = stats.beta(alpha, alpha)
        far = stats.kstest(plan.share, lambda x, b=beta: b.cdf(x) - b.cdf(1 - x))
        assert far.statistic < 0.015
        assert sorted(plan.partner) == list(range(20_000))
        np.testing.assert_array_equal(plan.weight, plan.share)


def test_boxes_of_cutmix_lie_inside_and_make_the_share() -> None:
    n = 20_000
    plan = plan_cutmix(rng(), n, HW, alpha=1.0)
    assert plan.boxes is not None
    top, bottom, left, right = plan.boxes.T
    assert (top >= 0).all() and (top <= bottom).all() and (bottom <= HW[0]).all()
    assert (left >= 0).all() and (left <= right).all() and (right <= HW[1]).all()
    area = (bottom - top) * (right - left) / (HW[0] * HW[1])
    np.testing.assert_allclose(plan.share, 1 - area, atol=1e-12)
    # A box of side s (its square is uniform for alpha=1) about a uniform middle keeps s - s*s/4 of
    # its length in the mean, and both directions are independent given s.
    whole = plan_cutmix(rng(), n, (1000, 1000), alpha=1.0)
    s = np.sqrt(np.random.default_rng(0).random(200_000))
    expected = np.mean((s - s * s / 4) ** 2)
    assert abs(1 - whole.share.mean() - expected) < 0.01


def test_chance_of_being_mixed() -> None:
    for plan in (
        plan_mixup(rng(), 10_000, alpha=1.0, p=0.3),
        plan_cutmix(rng(), 10_000, (500, 500), alpha=1.0, p=0.3),
    ):
        assert abs((plan.share < 1).mean() - 0.3) < 0.02
    assert (plan_mixup(rng(), 50, alpha=1.0, p=0).share == 1).all()


def by_hand(x: torch.Tensor, plan: MixPlan) -> torch.Tensor:
    out = torch.empty_like(x)
    for i in range(len(x)):
        other, w = x[plan.partner[i]], float(plan.weight[i])
        out[i] = x[i] * w + other * (1 - w)
        if plan.boxes is not None:
            top, bottom, left, right = plan.boxes[i]
            out[i, :, top:bottom, left:right] = other[:, top:bottom, left:right]
    return out


def test_pixels_and_targets_are_mixed_as_planned() -> None:
    n = 40
    x, y = torch.rand(n, 3, *HW), torch.rand(n, 4)
    mixup, cutmix = plan_mixup(rng(), n, alpha=1.0), plan_cutmix(rng(1), n, HW, alpha=1.0)
    either = plan_either(cutmix, mixup, np.arange(n) % 2 == 0)
    assert (cutmix.share < 0.5).any()
    np.testing.assert_array_equal(either.share[::2], cutmix.share[::2])
    np.testing.assert_array_equal(either.share[1::2], mixup.share[1::2])
    for plan in (mixup, cutmix, either):
        before = x.clone()
        torch.testing.assert_close(blend(x, plan), by_hand(x, plan), rtol=0, atol=1e-6)
        assert torch.equal(x, before)
        share = torch.from_numpy(plan.share).float()[:, None]
        wanted = y * share + y[plan.partner.tolist()] * (1 - share)
        torch.testing.assert_close(blend_targets(y, plan), wanted, rtol=0, atol=1e-6)
        numbers = torch.arange(n)
        larger = [i if s >= 0.5 else int(plan.partner[i]) for i, s in enumerate(plan.share)]
        assert larger_share(numbers, plan).tolist() == larger


def test_inputs_of_any_shape_and_order_in_memory() -> None:
    plan = plan_mixup(rng(), 5, alpha=1.0)
    assert blend(torch.rand(5, 7), plan).shape == (5, 7)
    assert blend(torch.rand(5), plan).shape == (5,)
    assert blend(torch.rand(5, 2).half(), plan).dtype == torch.float16
    last = torch.rand(5, 3, *HW).contiguous(memory_format=torch.channels_last)
    for one in (plan, plan_cutmix(rng(), 5, HW, alpha=1.0)):
        mixed = blend(last, one)
        assert mixed.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(mixed, blend(last.contiguous(), one), rtol=0, atol=0)


def test_draws_are_a_function_of_seed_epoch_step_rank_and_operation() -> None:
    keys = [(1, 2, 3, 0, "a"), (2, 2, 3, 0, "a"), (1, 3, 3, 0, "a"), (1, 2, 4, 0, "a")]
    keys += [(1, 2, 3, 1, "a"), (1, 2, 3, 0, "b"), (-1, -2, 3, 0, "a")]
    first = {key: float(generator(*key).random()) for key in keys}
    assert len(set(first.values())) == len(keys)
    assert all(float(generator(*key).random()) == value for key, value in first.items())


def test_class_numbers_become_probabilities() -> None:
    assert one_hot(torch.tensor([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert one_hot(torch.tensor([1], dtype=torch.uint8), 2).dtype == torch.float32
    for wrong in (3, -1):
        with pytest.raises(RuntimeError, match="out of bounds"):
            one_hot(torch.tensor([wrong]), 3)
