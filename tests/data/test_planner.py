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
    normalize.std.data.mul_(2)  # these two pass by what counts the changes of a tensor
    changed.append(planner.planned(Samples(2, 1, [5]), 1, (8, 9)))
    normalize.std.numpy()[...] *= 2
    changed.append(planner.planned(Samples(2, 1, [5]), 1, (8, 9)))
    assert len({id(one) for one in [first, *changed]}) == 9
    assert not np.allclose(changed[-1].tables[0], changed[-2].tables[0])


@pytest.mark.parametrize(("n", "split_idx"), [(2, 1), (1, 0), (1, None)])
def test_what_is_not_a_single_picture_in_validation_is_planned_anew(n, split_idx):
    planner = Planner([IntToFloatTensor()], split_idx, 3)
    samples = Samples(1, 0, list(range(n)))
    assert planner.planned(samples, n, (8, 8)) is not planner.planned(samples, n, (8, 8))


def test_values_are_told_apart_by_what_they_hold():
    array, tensor, nested = np.zeros(3), torch.zeros(3), {"a": [1, (2,)]}
    values = (array, tensor, nested, 3, "a", None, 2.5)
    before = [as_it_is(v) for v in values]
    assert before == [as_it_is(v) for v in values]
    array[1] = 1
    tensor.data[1] = 1
    nested["a"].append(3)
    now = [as_it_is(v) for v in (*values[:3], 4, "b", 0, 2.25)]
    assert not any(a == b for a, b in zip(before, now, strict=True))
    assert as_it_is(print) != as_it_is(print)  # what a function sees cannot be told
