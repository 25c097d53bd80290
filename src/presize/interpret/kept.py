"""One pass over a loader, of which little is kept for each item, whatever the model answers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from presize.callbacks.base import Callback
from presize.callbacks.gather import item_losses
from presize.core.device import to_detach, to_float
from presize.core.errors import DataError
from presize.data.eachonce import in_order, left_out
from presize.inference import activation_for, each_batch, warn_of_missing
from presize.interpret.kept_columns import Column
from presize.interpret.kept_items import SPLITS, Items
from presize.train.losses import decodes_of

if TYPE_CHECKING:
    from presize.learner import Learner

# Of answers with more numbers for an item, as masks have, none are kept: they are asked for again.
FEW = 256


class Keeper(Protocol):
    """Takes what it needs of each batch."""

    def see(self, preds: Any, targets: tuple[Any, ...], losses: Tensor) -> Tensor | None:
        """Take a batch.

        Args:
            preds: after the activation.
            targets: those of the batch; one at least.
            losses: one for each item, float32 [n].

        Returns:
            Which items have a row: bool [n]; None for all.
        """
        ...


def loader_of(learn: "Learner", ds_idx: int, dl: Any) -> Any:
    """Return the loader to ask about, in the order of its data set.

    Raises:
        DataError: there is none, or nothing in it.
    """
    n = len(learn.dls)
    if dl is None and not -n <= ds_idx < n:
        raise DataError(
            f"There is no loader {ds_idx} to interpret: the data has {n}, and no validation set. "
            "Let the DataBlock split the items (splitter=RandomSplitter()), or pass a loader with "
            "labels, dl=."
        )
    source = in_order(learn.dls[ds_idx] if dl is None else dl)
    if source is None or _is_empty(source):
        raise DataError(
            "There is nothing to interpret: the loader has no items. A split may leave none for "
            "validation, and a learner from a model file has no data of its own: pass a loader "
            "with labels, such as dl=dls.valid of data with the same classes."
        )
    return source


def one_pass(
    learn: "Learner",
    source: Any,
    keeper: Keeper,
    *,
    act: Callable[[Any], Any] | None = None,
    split: str = "valid",
) -> Items:
    """Show all batches of a loader to the model, and the answers to `keeper`, one by one.

    Args:
        source: the loader, in the order of its data set.
        keeper: keeps what it needs.
        act: what is applied to the model's output; None takes the activation of the loss, and the
            temperature of `learn.calibration`. Losses are those of the outputs as they are.
        split: what the data set is called where an item is no file.

    Raises:
        DataError: there are no batches, or no targets.
    """
    activation = activation_for(learn, act)
    rows = Column()

    def see(preds: Any, targets: tuple[Any, ...], losses: Tensor | None) -> None:
        if losses is None:
            raise DataError(
                "Interpretation compares predictions with targets, but this loader has no targets. "
                "For a test set whose labels are known use dls.test_dl(items, with_labels=True)."
            )
        present = keeper.see(activation(preds), targets, losses)
        rows.add(torch.ones(len(losses), dtype=torch.bool) if present is None else present.cpu())

    each_batch(learn, source, _EachBatch(see), with_loss=True, label="interpreting")
    missing = left_out(source)
    if not rows.n:
        raise DataError("There is nothing to interpret: the loader has no items that can be read.")
    warn_of_missing(missing)
    present = rows.joined()
    read = [i for i in range(len(present) + len(missing)) if i not in missing]
    return Items(torch.tensor(read, dtype=torch.int64)[present], dl=source, split=split)


class _EachBatch(Callback):
    """Hands the answers of a validation pass on, batch by batch, and keeps none of them.

    Args:
        see: called after each batch with the raw predictions, the targets (none where there are
            none), and the losses of the items [n] (None where there are no targets); all on the
            model's device. The learner's loss must not be averaged.
    """

    order = 0
    run_train = False

    def __init__(self, see: Callable[[Any, tuple[Any, ...], Tensor | None], None]) -> None:
        self.see = see

    def after_batch(self, learn: "Learner") -> None:
        """Hand the batch on."""
        losses = item_losses(learn.loss) if learn.yb else None
        self.see(to_float(to_detach(learn.pred, cpu=False)), learn.yb, losses)


def split_name(ds_idx: int, dl: Any) -> str:
    """Return what the items of a loader are called where they are no files."""
    return "the loader" if dl is not None else SPLITS.get(ds_idx, f"loader {ds_idx}")


class LossKeeper:
    """Keeps the losses, and targets and predictions where an item has few numbers of them.

    Args:
        loss_func: says what predictions are, by its `decodes`.
    """

    def __init__(self, loss_func: object) -> None:
        self.decode: Callable[[Any], Any] = decodes_of(loss_func)
        self._losses, self._targs, self._decoded = Column(), Column(), Column()
        self._keeps = True

    def see(self, preds: Any, targets: tuple[Any, ...], losses: Tensor) -> Tensor | None:
        """Take a batch; each item has a row."""
        self._losses.add(losses)
        one = targets[0] if len(targets) == 1 else None
        self._keeps = self._keeps and isinstance(preds, Tensor) and isinstance(one, Tensor)
        if self._keeps:
            self._keep(plain(one), plain(self.decode(preds)), len(losses))
        return None

    def _keep(self, targs: Tensor, decoded: Tensor, n: int) -> None:
        pairs = (self._targs, targs), (self._decoded, decoded)
        # Pictures of several sizes have masks of several sizes.
        self._keeps = all(
            t.ndim > 0 and len(t) == n and t.numel() <= FEW * n and column.takes(t)
            for column, t in pairs
        )
        if self._keeps:
            for column, values in pairs:
                column.add(values)

    def losses(self) -> Tensor:
        """Return the loss of each item, float32 [n]."""
        return self._losses.joined()

    def answers(self) -> dict[str, Tensor]:
        """Return `targs` and `decoded`, or nothing."""
        if not self._keeps:
            return {}
        return {"targs": self._targs.joined(), "decoded": self._decoded.joined()}


def plain(value: Any) -> Tensor:
    """Return a tensor without its meaning; numbers become one."""
    return value.as_subclass(Tensor) if isinstance(value, Tensor) else torch.as_tensor(value)


def _is_empty(source: Any) -> bool:
    try:
        return len(source) == 0
    except TypeError:  # its length is not known
        return False
