"""Changes of light and colour of a batch of pictures, drawn per picture, in training only.

Brightness, contrast and saturation act in logit space (`presize.core.colour`): neighbours fuse to
one matrix, one logit and one sigmoid. Pictures are floats in 0..1. Masks, points and boxes stay.

Shared by all of them:
    p: the chance for each picture.
    draw: the number to use in place of a random one: one for all pictures, a list with one for
        each, or a function; see `presize.core.parameters`.
    batch: treat all pictures of a batch alike.
"""

from torch import Tensor

from presize.augment.fused import ColourTfm
from presize.core import colour
from presize.core.homography import HW
from presize.core.parameters import Draw, check_chance
from presize.core.randomness import FloatArray


def _check_reach(value: float, name: str, owner: str) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{owner}: {name} must be in 0..1, below 1, got {value!r}.")


class LightingTfm(ColourTfm):
    """A change of light, an affine map of (r, g, b) in logit space: the base of three.

    Args:
        max_lighting: the greatest change, 0..1.
        p: the chance for each picture.
        draw: the number to use in place of a random one.
        batch: treat all pictures alike.

    Raises:
        ValueError: a number outside its range.
    """

    arguments = ("max_lighting", "p", "draw", "batch")
    shown_attributes = ("max_lighting", "p")

    def __init__(
        self,
        max_lighting: float = 0.2,
        p: float = 0.75,
        draw: Draw | None = None,
        *,
        batch: bool = False,
    ) -> None:
        super().__init__(p, draw, batch)
        check_chance(p)
        _check_reach(max_lighting, "max_lighting", self.name)
        self.max_lighting = float(max_lighting)

    def _factors(self, n: int, hw: HW) -> FloatArray:
        return colour.light_factors(
            self.rng(n),
            max_lighting=self.max_lighting,
            p=self.p,
            draw=self.draw,
            batch=self.batch,
            hw=hw,
        )


class Brightness(LightingTfm):
    """Make pictures brighter or darker: the logit of `draw` is added to those of the pixels.

    `draw`, the level that mid-gray gets, is drawn from 0.5 * (1 -+ max_lighting); 0.5 changes
    nothing.
    """

    def matrices(self, n: int, hw: HW) -> colour.Matrices:
        """Draw the matrices [n,4,4]."""
        level = colour.brightness_levels(
            self.rng(n),
            max_lighting=self.max_lighting,
            p=self.p,
            draw=self.draw,
            batch=self.batch,
            hw=hw,
        )
        return colour.brightness(level)


class Contrast(LightingTfm):
    """Strengthen or weaken contrast: the logits of the pixels are multiplied by `draw`.

    It is drawn from (1-max_lighting) .. 1/(1-max_lighting), evenly in its logarithm; 1 changes
    nothing.
    """

    def matrices(self, n: int, hw: HW) -> colour.Matrices:
        """Draw the matrices [n,4,4]."""
        return colour.contrast(self._factors(n, hw))


class Saturation(LightingTfm):
    """Strengthen or weaken colours: distances of the logits from their gray are multiplied.

    By `draw`, from (1-max_lighting) .. 1/(1-max_lighting), evenly in its logarithm; 1 changes
    nothing, 0 is gray.
    """

    def matrices(self, n: int, hw: HW) -> colour.Matrices:
        """Draw the matrices [n,4,4]."""
        return colour.saturation(self._factors(n, hw))


class Hue(ColourTfm):
    """Turn the hue (of HSV) by `draw` of the whole circle.

    A turn that is drawn lies in (1-max_hue) .. 1/(1-max_hue), which is about -+max_hue since whole
    turns do not count; 0 changes nothing.
    """

    arguments = ("max_hue", "p", "draw", "batch")
    shown_attributes = ("max_hue", "p")

    def __init__(
        self,
        max_hue: float = 0.1,
        p: float = 0.75,
        draw: Draw | None = None,
        *,
        batch: bool = False,
    ) -> None:
        super().__init__(p, draw, batch)
        check_chance(p)
        _check_reach(max_hue, "max_hue", self.name)
        self.max_hue = float(max_hue)

    def recolour(self, x: Tensor) -> Tensor:
        """Return the changed pictures [n,c,h,w]."""
        turns = colour.light_factors(
            self.rng(len(x)),
            max_lighting=self.max_hue,
            p=self.p,
            draw=self.draw,
            neutral=0.0,
            batch=self.batch,
            hw=(x.shape[-2], x.shape[-1]),
        )
        return colour.turn_hue(x, turns)
