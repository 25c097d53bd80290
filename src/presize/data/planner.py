"""What becomes of the pictures of a batch, as numbers; of a single one it is worked out once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from presize.core.homography import HW, Maps
from presize.core.randomness import Samples
from presize.core.transform import Transform
from presize.data.cuts import to_frame
from presize.render.levels import Levels
from presize.render.plan import PixelPlan
from presize.render.transform import planned

_PLAIN = (int, float, str, bool, type(None))


class Planned(NamedTuple):
    """What becomes of the pictures of a batch.

    Attributes:
        plan: in numbers.
        rest: the steps that are no plan for single pictures.
        tables: what levels become, for each picture; None where they stay integers.
        last: the maps from pixel numbers of the results to the frames of what is moved.
    """

    plan: PixelPlan
    rest: list[Transform]
    tables: list[Levels] | None
    last: Maps


class Planner:
    """Plans batches; several threads may ask.

    The plan of a single picture in validation is kept for as long as the transforms hold the same
    values: to make it anew takes 0.3 ms each time that somebody asks about a picture.

    Args:
        steps: the transforms of batches.
        split_idx: 0 for training, 1 for validation.
        channels: of the pictures.
    """

    def __init__(self, steps: Sequence[Transform], split_idx: int | None, channels: int) -> None:
        self._steps, self._split_idx, self._channels = list(steps), split_idx, channels
        self._kept: tuple[list[Any], Planned] | None = None

    def planned(self, samples: Samples, n: int, size: HW) -> Planned:
        """Return what becomes of `n` pictures, by the draws of these samples.

        Args:
            samples: those of the batch.
            n: how many there are.
            size: (height, width) that they come with.
        """
        if n != 1 or self._split_idx != 1:
            return self._new(samples, n, size)
        state = [samples.seed, samples.epoch, int(samples.indices[0]), size, *self._state()]
        kept = self._kept
        if kept is None or kept[0] != state:
            kept = self._kept = state, self._new(samples, n, size)
        return kept[1]

    def _new(self, samples: Samples, n: int, size: HW) -> Planned:
        with samples.context():
            plan, rest = planned(self._steps, n, size, self._split_idx)
        return Planned(plan, rest, plan.tables(self._channels), plan.maps @ to_frame(plan.size))

    def _state(self) -> list[Any]:
        """Return what the plan depends on besides: the steps as they are now."""
        return [as_it_is(value) for step in self._steps for value in vars(step).values()]


def as_it_is(value: Any) -> Any:
    """Return what equals the same of another value only if that holds the same.

    What cannot be told, such as a function, which may see anything, equals nothing.
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, np.ndarray | Tensor):
        return value.tolist()  # not the version of a tensor, which `x.data` and NumPy pass by
    if isinstance(value, tuple | list):
        return [as_it_is(one) for one in value]
    if isinstance(value, dict):
        return [(as_it_is(key), as_it_is(one)) for key, one in value.items()]
    return object()
