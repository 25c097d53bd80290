import numpy as np
import pytest
import torch

from presize.augment.presets import Normalize, imagenet_stats
from presize.core.randomness import Samples
from presize.data.planner import Planner, as_it_is
from presize.data.tensorise import IntToFloatTensor


def test_the_plan_of_a_single_picture_is_kept_until_something_changes():
    normalize = Normalize.from_stats(*imagenet_stats)
    planner = Planner([IntToFloatTensor(), normalize], 1, 3)
    first = planner.planned(Samples(1, 0, [0]), 1, (8, 8))
    assert planner.planned(Samples(1, 0, [0]), 1, (8, 8)) is first
    changed = [
        planner.planned(Samples(2, 0, [0]), 1, (8, 8)),
        planner.planned(Samples(2, 1, [0]), 1, (8, 8)),
        planner.planned(Samples(2, 1, [5]), 1, (8, 8)),
        planner.planned(Samples(2, 1, [5]), 1, (8, 9)),
    ]
    normalize.mean = normalize.mean + 1
    changed.append(planner.planned(Samples(2, 1, [5]), 1, (8, 9)))
    normalize.std.mul_(2)
    changed.append(planner.planned(Samples(2, 1, [5]), 1, (8, 9)))
    assert len({id(one) for one in [first, *changed]}) == 7
    assert not np.allclose(changed[-1].tables[0], changed[-2].tables[0])


@pytest.mark.parametrize(("n", "split_idx"), [(2, 1), (1, 0), (1, None)])
def test_what_is_not_a_single_picture_in_validation_is_planned_anew(n, split_idx):
    planner = Planner([IntToFloatTensor()], split_idx, 3)
    samples = Samples(1, 0, list(range(n)))
    assert planner.planned(samples, n, (8, 8)) is not planner.planned(samples, n, (8, 8))


def test_values_are_told_apart_by_what_they_are_and_hold():
    array, tensor, other = np.zeros(3), torch.zeros(3), object()
    before = [as_it_is(v) for v in (array, tensor, other, 3, "a", None, 2.5)]
    assert before == [as_it_is(v) for v in (array, tensor, other, 3, "a", None, 2.5)]
    array[1] = 1
    tensor[1] = 1
    now = [as_it_is(v) for v in (array, tensor, object(), 4, "b", 0, 2.25)]
    assert not any(a == b for a, b in zip(before, now, strict=True))
