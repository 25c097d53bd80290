"""Random erasing: boxes of noise over the pictures (Zhong et al., arXiv:1708.04896)."""

import functools

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from presize.core.parameters import check_chance
from presize.core.randomness import Draws, draws
from presize.core.transform import RandTransform
from presize.core.types import JSON
from presize.tensors import TensorImage

_PLACES = 256

Boxes = npt.NDArray[np.int64]


class RandomErasing(RandTransform):
    """Replace random boxes of pictures with noise of mean 0 and deviation 1, in training.

    It runs after `Normalize`, so the noise is like the pictures in mean and spread.

    Args:
        p: the chance for each picture.
        sl: the least area that is erased, as a share of the picture.
        sh: the greatest.
        min_aspect: height over width is drawn from min_aspect..1/min_aspect, evenly in its
            logarithm.
        max_count: up to so many boxes a picture; they share the area.

    Raises:
        ValueError: numbers outside their ranges.
    """

    order = 100
    split_idx: int | None = 0
    shown_attributes = ("p", "sl", "sh", "max_count")

    def __init__(
        self,
        p: float = 0.5,
        sl: float = 0.0,
        sh: float = 0.3,
        *,
        min_aspect: float = 0.3,
        max_count: int = 1,
    ) -> None:
        super().__init__()
        check_chance(p)
        if not 0 <= sl <= sh <= 1:
            raise ValueError(
                f"RandomErasing: areas must be 0 <= sl <= sh <= 1, got sl={sl!r} and sh={sh!r}."
            )
        if not 0 < min_aspect <= 1 or max_count < 1:
            raise ValueError(
                "RandomErasing: min_aspect must be in 0..1 and max_count at least 1, got "
                f"min_aspect={min_aspect!r} and max_count={max_count!r}."
            )
        self.p, self.sl, self.sh = p, sl, sh
        self.min_aspect, self.max_count = min_aspect, max_count

    def encodes(self, x: TensorImage) -> Tensor:
        """Return the pictures with boxes erased: an item [c,h,w] or a batch [n,c,h,w]."""
        whole = x.as_subclass(Tensor)
        batch = whole if whole.ndim == 4 else whole[None]
        rng = draws(self.draw_name or self.name, len(batch))
        chosen = np.flatnonzero(rng.bernoulli(self.p))
        places = np.stack([rng.integers(_PLACES), rng.integers(_PLACES)])[:, chosen]
        boxes = self._boxes(rng, (whole.shape[-2], whole.shape[-1]))[chosen]
        if not len(chosen):
            return whole
        rows = torch.from_numpy(chosen).to(batch.device, non_blocking=True)
        inside = _inside(boxes, (whole.shape[-2], whole.shape[-1]), batch.device)
        erased = torch.where(inside, _noise(batch, places), batch[rows])
        done = batch.index_copy(0, rows, erased)
        return done if whole.ndim == 4 else done[0]

    def _boxes(self, rng: Draws, hw: tuple[int, int]) -> Boxes:
        """Draw [n,max_count,4] of top, bottom, left, right; boxes too many are empty."""
        count = 1 + rng.integers(self.max_count)
        area = hw[0] * hw[1] / count
        reach = -np.log(self.min_aspect)
        boxes = []
        for i in range(self.max_count):
            part = rng.uniform(self.sl, self.sh) * area * (i < count)
            aspect = np.exp(rng.uniform(-reach, reach))
            spans = []
            for side, length in ((hw[0], np.sqrt(part * aspect)), (hw[1], np.sqrt(part / aspect))):
                whole = np.minimum(np.rint(length), side).astype(np.int64)
                start = (rng.uniform() * (side - whole + 1)).astype(np.int64)
                spans += [start, start + whole]
            boxes.append(np.stack(spans, axis=1))
        return np.stack(boxes, axis=1)

    def spec(self) -> dict[str, JSON]:
        """Return the arguments of the constructor, as JSON."""
        return {
            "p": self.p,
            "sl": self.sl,
            "sh": self.sh,
            "min_aspect": self.min_aspect,
            "max_count": self.max_count,
        }


def _inside(boxes: Boxes, hw: tuple[int, int], device: torch.device) -> Tensor:
    """Return the pixels that any box of a picture [m,k,4] covers: bool [m,1,h,w]."""
    edges = torch.from_numpy(boxes).to(device, non_blocking=True)[..., None]
    y, x = (torch.arange(side, device=device) for side in hw)
    down = (y >= edges[:, :, 0]) & (y < edges[:, :, 1])
    across = (x >= edges[:, :, 2]) & (x < edges[:, :, 3])
    return (down[..., :, None] & across[..., None, :]).any(1, keepdim=True)


def _noise(like: Tensor, places: npt.NDArray[np.int64]) -> Tensor:
    """Return noise [m,c,h,w] for m pictures: windows into one fixed field, at drawn `places`.

    So the noise of a picture is the same on every device and in every batch, and nothing is drawn
    pixel by pixel.
    """
    c, h, w = like.shape[1:]
    field = _field(c, h + _PLACES - 1, w + _PLACES - 1, like.device, like.dtype)
    windows = field.unfold(1, h, 1).unfold(2, w, 1)  # [c,_PLACES,_PLACES,h,w], a view
    top, left = torch.from_numpy(places).to(like.device, non_blocking=True)
    return windows[:, top, left].transpose(0, 1)


@functools.lru_cache(maxsize=4)
def _field(c: int, h: int, w: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    source = torch.Generator().manual_seed(0)
    return torch.randn(c, h, w, generator=source).to(device, dtype)
