"""Where a model errs: the losses of single items, over one loader."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, Any, ClassVar, Self

import PIL.Image
import torch
from torch import Tensor

from presize.core.errors import DataError
from presize.core.types import Task
from presize.interpret.kept import LossKeeper, loader_of, one_pass, split_name
from presize.interpret.kept_items import Items
from presize.tensors import TensorMask, TensorPoint

if TYPE_CHECKING:
    from presize.core.paths import Path
    from presize.learner import Learner

# Predictions that are drawn on the picture, not written above it.
DRAWN: dict[Task | None, type[TensorMask | TensorPoint]] = {
    "segmentation": TensorMask,
    "points": TensorPoint,
}
_MAPS_AT_ONCE = 16


class Interpretation:
    """The losses of all items of a loader, and where the items are; made by `from_learner`.

    Nothing large is kept: pictures are read again when they are shown, and masks are predicted
    again. Items whose picture cannot be read have no row; `indices` says which item a row is of.

    Args:
        losses: the loss of each item, float32 [n].
        items: where the items are.
        learn: the learner that was asked; None if its answers were read from a file.
        task: what the targets are.
        vocab: the classes or labels.
        targs: targets [n, …], where an item has few numbers of them; else None.
        decoded: decoded predictions [n, …], likewise.
    """

    kind: ClassVar[str] = "losses"
    """What a file of saved answers says that it holds."""

    def __init__(
        self,
        losses: Tensor,
        items: Items,
        *,
        learn: "Learner | None" = None,
        task: Task | None = None,
        vocab: Any = None,
        targs: Tensor | None = None,
        decoded: Tensor | None = None,
    ) -> None:
        self.losses, self.items, self.learn = losses, items, learn
        self.task, self.vocab = task, vocab
        self.targs, self.decoded = targs, decoded
        self.notes: list[str] = []
        n = int(losses.isnan().sum())
        if n:
            self.notes.append(f"The loss of {n} of {len(losses)} items is not a number.")

    @classmethod
    def from_learner(
        cls,
        learn: "Learner",
        ds_idx: int = 1,
        dl: Any = None,
        act: Callable[[Any], Any] | None = None,
    ) -> Self:
        """Ask the learner about every item of a loader, in one pass.

        Args:
            ds_idx: which loader of the data, if `dl` is not given.
            dl: any loader with targets.
            act: what is applied to the model's output; None takes the activation of the loss.

        Raises:
            DataError: the loader is empty, or has no targets, as that of a test set.
        """
        source, keeper = loader_of(learn, ds_idx, dl), LossKeeper(learn.loss_func)
        items = one_pass(learn, source, keeper, act=act, split=split_name(ds_idx, dl))
        task, vocab = getattr(learn.dls, "task", None), vocab_of(source, learn)
        return cls(
            keeper.losses(),
            items,
            learn=learn,
            task=task,
            vocab=vocab,
            **keeper.answers(),
        )

    def __len__(self) -> int:
        return len(self.losses)

    def __repr__(self) -> str:
        mean = float(self.losses.mean()) if len(self) else float("nan")
        return f"{type(self).__name__} of {len(self):,} items, mean loss {mean:.4g}"

    # ---- the items -------------------------------------------------------------------------

    @property
    def dl(self) -> Any:
        """The loader that was asked about; None if the answers were read from a file."""
        return self.items.dl

    @property
    def indices(self) -> Tensor:
        """The index in the data set of each row, int64 [n]."""
        return self.items.indices

    @property
    def files(self) -> list[str]:
        """The file of each row; "number i of valid" where an item is none."""
        return self.items.files

    @property
    def preds(self) -> Tensor:
        """Not kept; raises AttributeError that says where they are to be had."""
        raise AttributeError(
            f"{type(self).__name__} does not keep the predictions for every class, which take too "
            "much memory for large data. learn.get_preds() returns them."
        )

    def picture(self, row: int) -> PIL.Image.Image:
        """Return the picture of a row in RGB, read again: as it is shown, without normalisation.

        Raises:
            DataError: the item is no picture, or there is neither a loader nor a file.
            ImageError: the file is gone or broken.
        """
        return self.items.picture(row)

    def inputs(self, rows: Sequence[int]) -> Tensor:
        """Return the inputs of some rows as the model sees them, normalised: [m, c, h, w].

        Raises:
            DataError: the answers were read from a file, without the learner.
        """
        return self.items.inputs([int(row) for row in rows])

    def heat_maps(self, rows: Sequence[int]) -> Tensor:
        """Return where the model looks for what it predicts, float32 [m, h, w] from 0 to 1.

        See `presize.interpret.heat_map.heat_maps`.
        """
        from presize.interpret.heat_map import heat_maps

        if self.learn is None:
            raise DataError(
                "Heat maps ask the model, but these predictions were read from a file without it. "
                "Load them with the learner that made them: load(path, learn=learn)."
            )
        self.learn.place_model()
        parts = []
        for start in range(0, len(rows), _MAPS_AT_ONCE):
            some = [int(row) for row in rows[start : start + _MAPS_AT_ONCE]]
            inputs = self.inputs(some).to(self.learn.device)
            parts.append(heat_maps(self.learn.model, inputs, self._explained(some)).cpu())
        return torch.cat(parts) if parts else torch.zeros(0, 0, 0)

    def _explained(self, rows: Sequence[int]) -> Tensor | None:
        """Return the outputs that heat maps are of, one for each row; None for the largest."""
        return None

    # ---- the worst and the best ------------------------------------------------------------

    def top_losses(self, k: int | None = None, *, largest: bool = True) -> tuple[Tensor, Tensor]:
        """Return the `k` largest (or smallest) losses and the indices of their items.

        The indices are those of the data set: `interp.dl.dataset.items[i]` is the item. They are
        those of the rows as well, unless items could not be read; see `top_rows`.
        """
        losses, rows = self.top_rows(k, largest=largest)
        return losses, self.indices[rows]

    def top_rows(self, k: int | None = None, *, largest: bool = True) -> tuple[Tensor, Tensor]:
        """Return the `k` largest (or smallest) losses and their rows, as of `files` or `targs`."""
        n = len(self.losses)
        top = self.losses.topk(n if k is None else min(k, n), largest=largest)
        return top.values, top.indices

    def plot_top_losses(
        self,
        k: int = 9,
        *,
        largest: bool = True,
        nrows: int | None = None,
        ncols: int | None = None,
        figsize: tuple[float, float] | None = None,
        heat_map: bool = False,
    ) -> Any:
        """Draw the items with the largest losses; return their axes, with `.figure`.

        Above each: what `heading` says, and the file's name. Predicted masks and points are drawn
        on the picture instead.

        Args:
            k: how many.
            largest: False draws those with the smallest losses.
            nrows: rows of the grid.
            ncols: columns of the grid.
            figsize: (width, height) in inches.
            heat_map: lay over each where the model looks for what it predicts.
        """
        from presize.interpret.gallery import plot_predictions

        rows = self.top_rows(k, largest=largest)[1].tolist()
        return plot_predictions(
            [partial(self._draw, row) if self.task in DRAWN else self.picture(row) for row in rows],
            [self.caption(row) for row in rows],
            right=[self._is_right(row) for row in rows] if self.task not in DRAWN else None,
            heat_maps=self.heat_maps(rows) if heat_map else None,
            heading=self.heading,
            nrows=nrows,
            ncols=ncols,
            figsize=figsize,
        )

    @property
    def heading(self) -> str:
        """What stands above the pictures of `plot_top_losses`."""
        return "Loss" if self.task in DRAWN else "Prediction / Actual / Loss"

    def caption(self, row: int) -> list[str]:
        """Return what is said of a row: names, figures and file, a line each."""
        names = "" if self.task in DRAWN else " / ".join(self.names_of(row))
        figures = " / ".join((f"{float(self.losses[row]):.2f}", *self._extra(row)))
        return [line for line in (names, figures, self._file_name(row)) if line]

    def names_of(self, row: int) -> tuple[str, str]:
        """Return the prediction and the target of a row in words; empty where none are kept."""
        if self.decoded is None or self.targs is None:
            return "", ""
        return self._name(self.decoded[row]), self._name(self.targs[row])

    def _extra(self, row: int) -> tuple[str, ...]:
        """Return further figures of the item of a row for its caption."""
        return ()

    def _is_right(self, row: int) -> bool | None:
        """Return whether a prediction is right; None where that has no meaning."""
        return None

    def _draw(self, row: int, ax: Any) -> None:
        """Draw the input of a row and, on it, what the model predicts for it now."""
        if self.learn is None:
            raise DataError(
                "Masks and points are predicted again to be shown, but these answers were read "
                "from a file. Load them with the learner that made them: load(path, learn=learn)."
            )
        batch, n = self.items.batch([row]), self.items.n_inp
        decoded = self.learn.get_preds(dl=[batch], with_decoded=True)[2]
        whole = self.dl.decode_batch((*batch[:n], decoded), max_n=1)[0]
        for value in (whole[0], *whole[n:]):
            value.show(ctx=ax)

    def _name(self, value: Tensor) -> str:
        """Return a prediction or target in words: the class, the labels that are 1, the numbers."""
        if self.vocab is not None and self.task == "multilabel":
            hot = value.flatten().tolist()
            return "; ".join(str(o) for o, there in zip(self.vocab, hot, strict=True) if there)
        whole = value.numel() == 1 and self.task in (None, "classification")
        if self.vocab is not None and whole:
            return str(self.vocab[int(value)])
        return ", ".join(f"{v:.4g}" for v in value.flatten().tolist())

    def _file_name(self, row: int) -> str:
        path = self.items.paths[row]
        return "" if path is None else AnyPath(path).name

    # ---- on disk ---------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> "Path":
        """Write what is known to one .safetensors file; see `presize.interpret.saved`."""
        from presize.interpret.saved import save_interpretation

        return save_interpretation(self, path)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], learn: "Learner | None" = None, *, dl: Any = None
    ) -> Self:
        """Read what `save` wrote.

        Args:
            path: the file.
            learn: the learner that was asked, for heat maps and the pictures as it sees them;
                without it pictures are those of the files.
            dl: the loader that was asked about, where it was none of the learner's own.

        Raises:
            FileNotFoundError: there is no such file; near names are shown.
            ModelFileError: the file is broken, or holds something else.
            DataError: the learner's data is not what the answers were about.
        """
        from presize.interpret.saved import read_interpretation

        return read_interpretation(cls, path, learn, dl)

    def tensors(self) -> dict[str, Tensor]:
        """Return what `save` writes, but for the items: tensors by name."""
        found = {"losses": self.losses, "targs": self.targs, "decoded": self.decoded}
        return {name: value for name, value in found.items() if value is not None}

    def options(self) -> dict[str, Any]:
        """Return what else `save` writes, in JSON."""
        return {"task": self.task}

    @classmethod
    def from_tensors(
        cls, tensors: dict[str, Tensor], items: Items, vocab: Any, options: dict[str, Any]
    ) -> Self:
        """Return what `tensors` and `options` were taken from."""
        targs, decoded = tensors.get("targs"), tensors.get("decoded")
        task: Task | None = options["task"]
        return cls(tensors["losses"], items, vocab=vocab, task=task, targs=targs, decoded=decoded)


def vocab_of(dl: Any, learn: "Learner") -> Any:
    """Return the classes of a loader, else those of the learner; None if neither says."""
    found = getattr(dl, "vocab", None)
    return one_vocab(getattr(learn.dls, "vocab", None) if found is None else found)


def one_vocab(vocab: Any) -> list[Any] | None:
    """Return a vocabulary as a list; of several, those of several targets, the last."""
    if vocab is None:
        return None
    found = list(vocab)
    nested = found and hasattr(found[-1], "__len__") and not isinstance(found[-1], str)
    return list(found[-1]) if nested else found
