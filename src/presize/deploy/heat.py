"""Where a model looked in one picture: a heat map that lies on the whole picture, not on a cut."""

import base64
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from presize.core.errors import PresizeError
from presize.data.askeditem import asked_item
from presize.data.asking import last_of
from presize.data.images import PILImage
from presize.data.picturesource import PictureSource
from presize.data.plan import CropPlan
from presize.data.samples import active
from presize.interpret.page.thumbnails import thumbnail
from presize.render.transform import active_steps, planned

if TYPE_CHECKING:
    from presize.data.loader import DataLoader
    from presize.learner import Learner

Box: TypeAlias = tuple[float, float, float, float]

_LONGEST = 1024  # pixels of the longer side of a picture that is drawn
_SENT = 128  # pixels of a side of the map; it has 7 x 7 places of its own, or so
_CMAP = "inferno"  # gets evenly lighter, also for those who see few colours


@dataclass(frozen=True, eq=False)
class HeatMap:
    """What speaks for a class in one picture.

    Args:
        values: float32 [h,w] from 0 to 1, over what the model saw.
        label: the class.
        probability: of that class, 0..1.
        box: where what the model saw lies in the whole picture: left, top, right, bottom as
            fractions of its width and height; beyond 0..1 where it was padded. None where that is
            not known, as after transforms of the user's own.
        seen: the picture as the model saw it.
        item: the picture as it was given.
    """

    values: npt.NDArray[np.float32]
    label: str
    probability: float | None
    box: Box | None
    seen: Image.Image = field(repr=False)
    item: Any = field(default=None, repr=False)

    def picture(self, opacity: float = 0.6) -> Image.Image:
        """Return the picture in RGB with the map over it, at most 1,024 pixels on a side.

        Where the box is not known, that is the picture as the model saw it.

        Args:
            opacity: the most that the map hides of the picture, 0 to 1.
        """
        from presize.interpret.heat_map_overlay import blend

        if self.box is None:
            return blend(self.seen, self.values, cmap=_CMAP, opacity=opacity)
        whole = PILImage.create(self.item, min_size=_LONGEST).convert("RGB")
        whole.thumbnail((_LONGEST, _LONGEST))
        return blend(whole, self.on(whole.size), cmap=_CMAP, opacity=opacity)

    def on(self, size: tuple[int, int]) -> npt.NDArray[np.float32]:
        """Return the map over the whole picture at a size of (width, height): [height, width].

        What the model did not see is 0.

        Raises:
            PresizeError: the box is not known.
        """
        if self.box is None:
            raise PresizeError(
                "Where this heat map lies in the picture is not known: it is treated by transforms "
                "of the user's own. Lay it over `.seen`."
            )
        left, top, right, bottom = self.box
        (width, height), (rows, columns) = size, self.values.shape
        across, down = columns / (right - left), rows / (bottom - top)
        coefficients = (
            *(across / width, 0.0, -left * across),
            *(0.0, down / height, -top * down),
        )
        moved = Image.fromarray(self.values).transform(
            size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
        )
        return np.asarray(moved)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, which JSON can hold, with pictures as data URIs.

        Returns:
            `label`, `probability`, `box`, and `image`, the map in colours, transparent where it is
            cold. Where `box` is None, `seen` is the picture below it.
        """
        told: dict[str, Any] = {
            "label": self.label,
            "probability": self.probability,
            "box": None if self.box is None else [round(edge, 6) for edge in self.box],
            "image": "data:image/png;base64," + base64.b64encode(self._png()).decode(),
        }
        if self.box is None:
            told["seen"] = thumbnail(self.seen, 512, most=100_000)
        return told

    def _png(self) -> bytes:
        """Return the map as a PNG with a palette: the colour says how warm, and so does alpha."""
        import matplotlib as mpl

        levels = Image.fromarray((self.values * 255).round().astype(np.uint8))
        levels.thumbnail((_SENT, _SENT), Image.Resampling.BILINEAR)
        warmth = np.linspace(0, 1, 256)
        colours = (mpl.colormaps[_CMAP](warmth)[:, :3] * 255).round().astype(np.uint8)
        # As in `blend`: the root shows half-warm places, too.
        alpha = (np.sqrt(warmth) * 255).round().astype(np.uint8)
        levels.putpalette(colours.tobytes(), "RGB")
        out = io.BytesIO()
        levels.save(out, "PNG", transparency=alpha.tobytes(), optimize=True)
        return out.getvalue()


def heat_map(learn: "Learner", item: Any, label: str | int | None = None) -> HeatMap:
    """Return what speaks for a class in one picture; see `presize.interpret.heat_map.heat_maps`.

    The model must not be asked by another thread meanwhile: gradients are recorded.

    Args:
        learn: the learner.
        item: what `learn.predict` takes; a file that is open is read once.
        label: the class, by its name or number; None takes the most likely one.

    Raises:
        DataError: there is no such class, or the picture cannot be read.
        TrainingError: the network has no maps.
    """
    from presize.interpret.heat_map import heat_maps
    from presize.interpret.heat_map_overlay import target_of, vocab_of
    from presize.interpret.kept_items import as_picture

    item = asked_item(getattr(last_of(learn.dls), "dataset", None), item)
    dl = learn.dls.test_dl([item], num_workers=0)
    learn.place_model()
    batch = next(iter(dl))
    first = batch[0] if isinstance(batch, tuple | list) else batch
    inputs = first.as_subclass(Tensor)
    number, name, chance = target_of(learn, learn.model, inputs, label, vocab_of(learn))
    values = heat_maps(learn.model, inputs, torch.tensor([number]))[0].numpy()
    shown = dl.decode_batch((first,), max_n=1)[0]
    seen = as_picture(shown[0] if isinstance(shown, tuple) else shown)
    return HeatMap(values, name, chance, _box(dl, inputs), seen, item)


def _box(dl: "DataLoader", inputs: Tensor) -> Box | None:
    """Return where in the whole picture lies what the model sees of the loader's only item."""
    source = PictureSource.of(dl)
    stage = active(dl.after_batch)
    if source is None or not source.middle:
        return None
    height, width = size = source.picture(0).full
    matrix = np.eye(3)  # from pixels of what is made so far to those of the whole picture
    for crop in source.crops:
        plan: CropPlan = crop.plan(size, None)
        matrix, size = matrix @ plan.matrix(), plan.size
    if stage is not None:
        moves, rest = planned(active_steps(stage.fs, stage.split_idx), 1, size, stage.split_idx)
        if rest:
            return None
        matrix = matrix @ _from_frame(size) @ moves.maps[0] @ np.linalg.inv(_from_frame(moves.size))
        size = moves.size
    corners = matrix @ np.array([[0, size[1]], [0, size[0]], [1, 1]], float)
    upright = np.allclose(matrix[[0, 1, 2, 2], [1, 0, 0, 1]], 0) and bool(
        matrix.diagonal().min() > 0
    )
    if not upright or size != tuple(inputs.shape[2:]):
        return None
    (left, right), (top, bottom) = corners[0] / width, corners[1] / height
    return float(left), float(top), float(right), float(bottom)


def _from_frame(size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the map from the frame of a picture, see `core.homography`, to its pixels: [3,3]."""
    half = min(size) / 2
    return np.array([[half, 0, size[1] / 2], [0, half, size[0] / 2], [0, 0, 1]])
