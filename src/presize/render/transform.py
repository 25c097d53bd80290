"""Transforms that plan what becomes of pixels, and how a row of them is done as one."""

from collections.abc import Sequence
from typing import Any

from presize.core.homography import HW
from presize.core.randomness import loose_context
from presize.core.transform import Transform
from presize.render.carry_out import carry_out, extent
from presize.render.plan import PixelPlan


class PixelTransform(Transform):
    """A transform of pictures that can say what it does as a plan, before any pixel is touched.

    A subclass gives `extend`. Its neighbours in a pipeline that are of this kind, too, are then
    done together with it: pixels are read once.
    """

    def extend(self, plan: PixelPlan, *, training: bool) -> PixelPlan | None:
        """Return the plan with what this does after it; None if the plan cannot be gone on with.

        Args:
            plan: what happens before.
            training: False only brings pictures to their size.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `extend`")

    def apply(self, x: Any) -> Any:
        """Do it to a value or tuple by itself, where `extend` has no plan for it at all."""
        return Transform.__call__(self, x)

    def steps(self) -> Sequence["PixelTransform"]:
        """Return the single transforms that it is made of, in their order."""
        return [self]

    def fuse(self, following: Transform) -> Transform | None:
        """Return one transform that does this and then `following`, if that can be planned, too."""
        return Fused([self, following]) if isinstance(following, PixelTransform) else None


class Fused(PixelTransform):
    """Neighbours in a pipeline, done as one.

    Args:
        parts: the transforms, in their order. They keep their own draws.
    """

    def __init__(self, parts: Sequence[PixelTransform]) -> None:
        super().__init__()
        self.parts = list(parts)
        self.order = self.parts[0].order

    def __call__(self, x: Any, split_idx: int | None = None) -> Any:
        """Transform a value or tuple."""
        return in_one(self.parts, x, split_idx)

    def steps(self) -> Sequence[PixelTransform]:
        """Return the single transforms that it is made of, in their order."""
        return [step for part in self.parts for step in part.steps()]

    def fuse(self, following: Transform) -> Transform | None:
        """Return this with one more part."""
        return Fused([*self.parts, following]) if isinstance(following, PixelTransform) else None

    @property
    def name(self) -> str:
        """The names of its parts."""
        return " + ".join(part.name for part in self.parts)


def active_steps(transforms: Sequence[Transform], split_idx: int | None) -> list[Transform]:
    """Return the single steps of transforms that are for this split."""
    found: list[Transform] = []
    for t in transforms:
        if not t.skips(split_idx):
            steps = t.steps() if isinstance(t, PixelTransform) else [t]
            found += [step for step in steps if not step.skips(split_idx)]
    return found


def in_one(parts: Sequence[PixelTransform], x: Any, split_idx: int | None) -> Any:
    """Do transforms one after the other, as many at a time as one plan can hold."""
    found = extent(x)
    steps = active_steps(parts, split_idx)
    if found is None or not steps:
        return x
    with loose_context():
        while steps:
            plan, rest = planned(steps, *found, split_idx)
            if len(rest) < len(steps):
                x = carry_out(plan, x)
            else:
                x, rest = _alone(steps[0], x), steps[1:]
            found, steps = extent(x) or found, rest
        return x


def _alone(step: Transform, x: Any) -> Any:
    return step.apply(x) if isinstance(step, PixelTransform) else step(x)


def planned(
    steps: Sequence[Transform], n: int, source: HW, split_idx: int | None
) -> tuple[PixelPlan, list[Transform]]:
    """Return the plan of the first steps for `n` pictures of `source` size, and all other steps.

    The draws are those of the samples in whose context this is called.
    """
    plan = PixelPlan.of(n, source)
    for i, step in enumerate(steps):
        longer = None
        if isinstance(step, PixelTransform):
            longer = step.extend(plan, training=split_idx != 1)
        if longer is None:
            return plan, list(steps[i:])
        plan = longer
    return plan, []
