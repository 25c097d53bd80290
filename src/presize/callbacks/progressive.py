"""Progressive resizing: small pictures first, larger ones later."""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from presize.augment.fused import AffineCoordTfm
from presize.augment.geometry import RandomResizedCropGPU
from presize.callbacks.base import Callback
from presize.callbacks.resting import looks_for_rate
from presize.core.device import map_tensors
from presize.core.errors import TrainingError
from presize.core.types import Size
from presize.core.types import hw as height_width
from presize.data.crops import CropTransform
from presize.data.loaders import TfmdDL
from presize.models.body import evaluating
from presize.render.transform import PixelTransform
from presize.train.microbatches import out_of_memory

if TYPE_CHECKING:
    from presize.learner import Learner

HW = tuple[int, int]


class FinalSize(AffineCoordTfm):
    """Brings pictures to a size, where no other batch transform does."""


class ProgressiveResize(Callback):
    """Change the size of the pictures from epoch to epoch (Tan and Le, arXiv:2104.00298).

    Small pictures cost less: with 128 in place of 224 an epoch takes a third of the arithmetic. The
    size is the last factor of the one map of each picture, so nothing is read twice, and what the
    items are cut to stays. Epochs count in each fit by itself; after it the loaders are as before.

        learn.fit_one_cycle(10, cbs=ProgressiveResize({0: 128, 4: 192, 8: 224}))

    Args:
        sizes: from the number of an epoch, or from a part of the fit below 1 (0.5 is half way, also
            of a fit with max_time), to the size of the epochs from there on: one number or
            (height, width). Epochs before the first key have the loaders' own size.
        valid: validate at the same size; False validates at the loaders' own.

    Raises:
        ValueError: no sizes, or keys that are neither epochs nor parts.
    """

    order = 5
    run_valid = False

    def __init__(self, sizes: Mapping[int, Size] | Mapping[float, Size], *, valid: bool = True):
        self._parts = any(isinstance(key, float) for key in sizes)
        for key in sizes:
            if not _fits(key, parts=self._parts):
                raise ValueError(
                    "ProgressiveResize takes {epoch: size}, such as {0: 128, 3: 224}, or {part of "
                    f"the fit: size}}, such as {{0.0: 128, 0.5: 224}}, but got the key {key!r}."
                )
        if not sizes:
            raise ValueError("ProgressiveResize got no sizes. Give some: {0: 128, 3: 224}.")
        self.sizes = {key: height_width(size) for key, size in sorted(sizes.items())}
        self.valid = valid
        self._loaders: list[_Loader] = []  # of the fit under way; none outside of one
        self._looking = self._asked = False
        self._size: HW | None = None

    def size_at(self, epoch: int, progress: float) -> HW | None:
        """Return the size in an epoch that begins at this progress, 0..1; None is the own one."""
        here = progress if self._parts else epoch
        begun = [size for key, size in self.sizes.items() if key <= here + 1e-9]
        return begun[-1] if begun else None

    def before_fit(self, learn: "Learner") -> None:
        """Look for what decides about the size.

        Raises:
            TypeError: loaders that are not presize's own.
        """
        if self._is_beside(learn):
            return
        # What an interrupted fit may have left: its size is not the loaders' own.
        self._release()
        loaders = [dl for dl in (learn.dls.train, learn.dls.valid) if dl is not None]
        self._loaders = [_Loader(dl) for dl in loaders]
        self._looking, self._asked = looks_for_rate(learn), False
        self._warn_of_enlarging(loaders)

    def before_train(self, learn: "Learner") -> None:
        """Give all loaders the size of the epoch."""
        if not self._is_beside(learn):
            self._set(self.size_at(learn.epoch, learn.pct_train))

    def before_batch(self, learn: "Learner") -> None:
        """Ask the model with the first batch, which shows what its inputs are.

        Raises:
            TrainingError: a model that does not take all sizes.
        """
        if not self._asked:
            self._asked = True
            self._ask(learn)

    def before_validate(self, learn: "Learner") -> None:
        """Give the loaders back their own size, if validation is to have that."""
        if not self.valid:
            self._give(None)

    def after_validate(self, learn: "Learner") -> None:
        """Go on with the size of the epoch where somebody validated in its middle."""
        if not self.valid:
            self._give(self._size)

    def after_fit(self, learn: "Learner") -> None:
        """Leave the loaders as they were."""
        if not self._is_beside(learn):
            self._release()

    def state_dict(self) -> dict[str, Any]:
        """Return the size under way, which an epoch that is gone on with keeps to its end."""
        return {"size": None if self._size is None else list(self._size)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Give all loaders the size that a killed run was at."""
        size = state.get("size")
        self._set(None if size is None else (size[0], size[1]))

    def _is_beside(self, learn: "Learner") -> bool:
        """Say whether a rate is looked for in the middle of a fit: at the size that it is at."""
        return bool(self._loaders) and looks_for_rate(learn) and not self._looking

    def _release(self) -> None:
        self._set(None)
        self._loaders = []

    def _set(self, size: HW | None) -> None:
        self._size = size
        self._give(size)

    def _give(self, size: HW | None) -> None:
        for loader in self._loaders:
            loader.set(size)

    def _ask(self, learn: "Learner") -> None:
        """Show the model one blank picture of each size, without a trace in it."""
        on_cuda = [learn.place] if learn.place.type == "cuda" else []
        for size in dict.fromkeys(self.sizes.values()):
            blank = _blank(learn.xb, size)
            try:
                with (
                    torch.random.fork_rng(on_cuda),  # a model may draw in eval mode, too
                    evaluating(learn.model),
                    learn.precision.autocast(learn.place),
                ):
                    learn.model(*blank)
            except Exception as error:
                if out_of_memory(error):
                    raise
                raise TrainingError(
                    f"{self!r}: the model, {_name(learn.model)}, fails on a picture of "
                    f"{size[0]}x{size[1]} pixels ({error}). Some architectures take the one size "
                    "that they were made for, img_size. Leave ProgressiveResize out, or take an "
                    "architecture of convolutions."
                ) from error

    def _warn_of_enlarging(self, loaders: list[Any]) -> None:
        for dl in loaders:
            cuts = [t for t in dl.after_item if isinstance(t, CropTransform)]
            own = getattr(cuts[-1], "size", None) if cuts else None
            largest = max(self.sizes.values())
            if isinstance(own, tuple) and (own[0] < largest[0] or own[1] < largest[1]):
                warnings.warn(
                    f"{self!r} asks for {largest[0]}x{largest[1]} pixels, but {cuts[-1].name} in "
                    f"item_tfms leaves {own[0]}x{own[1]}, which would be enlarged. Give it a size "
                    "that is no smaller.",
                    stacklevel=4,
                )
                return

    def __repr__(self) -> str:
        shown = {key: h if h == w else (h, w) for key, (h, w) in self.sizes.items()}
        return f"ProgressiveResize({shown})"


class _Loader:
    """What decides about the size of a loader's pictures, and how it was."""

    def __init__(self, dl: Any) -> None:
        if not isinstance(dl, TfmdDL):
            raise TypeError(
                "ProgressiveResize changes the size in the batch transforms of presize's own "
                "loaders (TfmdDL, as DataBlock and ImageDataLoaders make them), but got a "
                f"{type(dl).__module__}.{type(dl).__name__}."
            )
        self.pipeline = dl.after_batch
        found = [t.steps() if isinstance(t, PixelTransform) else [t] for t in self.pipeline]
        moves = [step for steps in found for step in steps if isinstance(step, AffineCoordTfm)]
        self.own = [(move, move.size) for move in moves if move.size is not None]
        self.added: FinalSize | None = None
        # Read as the other movements are, so that it is one map with theirs.
        self.like = moves[-1] if moves else None

    def set(self, size: HW | None) -> None:
        """Make pictures of this size; None puts everything back."""
        for move, own in self.own:
            move.size = size or own
            if isinstance(move, RandomResizedCropGPU):
                move.target = size or own
        if self.own:
            return
        if size is None:
            if self.added is not None:
                self.pipeline.fs = [t for t in self.pipeline.fs if t is not self.added]
                self.added = None
        elif self.added is None:
            like = self.like or FinalSize()
            self.added = FinalSize(
                size=size, mode=like.mode, pad_mode=like.pad_mode, mode_mask=like.mode_mask
            )
            self.pipeline.add([self.added])
        else:
            self.added.size = size


def _blank(xb: tuple[Any, ...], size: HW) -> list[Any]:
    """Return one item of each input, where those of the first picture's size are blank."""
    sides = [x.shape[-2:] if isinstance(x, Tensor) and x.ndim == 4 else None for x in xb]
    picture = next(filter(None, sides), None)
    return [
        map_tensors(lambda t: t[:1] if t.ndim else t, x)
        if its is None or its != picture
        else x.new_zeros(1, x.shape[1], *size)
        for x, its in zip(xb, sides, strict=True)
    ]


def _name(model: Any) -> str:
    spec = getattr(model, "spec", None)
    return str(spec["name"]) if isinstance(spec, dict) and "name" in spec else type(model).__name__


def _fits(key: object, *, parts: bool) -> bool:
    if isinstance(key, bool) or not isinstance(key, int | float):
        return False
    return 0 <= key < 1 if parts else key >= 0
