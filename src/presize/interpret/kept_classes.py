"""What is kept of the answers of a classifier: a few numbers for each item, not one a class."""

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from presize.core.errors import DataError, ModelFileError, did_you_mean
from presize.interpret.kept import plain
from presize.interpret.kept_columns import Columns
from presize.train.loss_kinds import takes_classes
from presize.train.losses import BaseLoss, decodes_of

TOP = 5
DIVERGED = (
    "The model answers with NaN, which is not a number: its weights have diverged, or its inputs "
    "hold NaN. Train it again with a lower rate, or load weights from before."
)
_SHOWN = 5


@dataclass(frozen=True)
class ClassRows:
    """What is kept of n items with one class each.

    Args:
        targs: the number of the true class, int64 [n].
        losses: float32 [n].
        top_classes: the numbers of the k most probable classes, the predicted one first, int64
            [n, k].
        top_probs: their probabilities, float32 [n, k].
        target_probs: the probability of the true class, float32 [n].
    """

    targs: Tensor
    losses: Tensor
    top_classes: Tensor
    top_probs: Tensor
    target_probs: Tensor

    @classmethod
    def of(
        cls, probs: Tensor, targs: Tensor, losses: Tensor, decoded: Tensor | None = None
    ) -> "ClassRows":
        """Return what is kept of a batch.

        Args:
            probs: of each class, [n, c].
            targs: class numbers [n].
            losses: [n].
            decoded: the predicted classes [n]; None takes the most probable ones.
        """
        ranked = probs
        if decoded is not None:  # it comes first whatever `topk` makes of classes that are equal
            ranked = probs.scatter(1, decoded[:, None], torch.inf)
        top = ranked.topk(min(TOP, probs.shape[1]), dim=1).indices
        return cls(targs, losses, top, probs.gather(1, top), probs.gather(1, targs[:, None])[:, 0])

    def check(self, n_classes: int) -> None:
        """Refuse what does not go together, as a file that was changed may hold it.

        Raises:
            ModelFileError: shapes differ, or a class has no name.
        """
        n, k = len(self.losses), self.top_classes.shape[-1]
        shapes = [tuple(getattr(self, f.name).shape) for f in fields(self)]
        numbers = torch.cat([self.targs.flatten(), self.top_classes.flatten()])
        same = shapes == [(n,), (n,), (n, k), (n, k), (n,)] and k > 0
        if not same or (numbers.numel() and not 0 <= numbers.min() <= numbers.max() < n_classes):
            raise ModelFileError(
                f"The predictions do not go together: shapes {shapes}, classes up to "
                f"{int(numbers.max()) if numbers.numel() else None} of {n_classes}. The file was "
                "changed since it was written: make it again."
            )


class ClassKeeper:
    """Keeps what `ClassRows` holds, batch by batch.

    Args:
        loss_func: says what predictions are, and which target is to be ignored.
        vocab: the classes of the data; None if it does not say.
        known: the classes that the model learned; None if its data does not say.
    """

    def __init__(self, loss_func: object, vocab: list[Any] | None, known: list[Any] | None) -> None:
        self.decode, self.vocab, self.known = decodes_of(loss_func), vocab, known
        of_classes = isinstance(loss_func, BaseLoss) and loss_func.kind == "classes"
        self.over_classes = of_classes or takes_classes(loss_func)
        self.ignored = int(getattr(loss_func, "ignore_index", -100))
        self._columns = Columns()
        self.classes: list[Any] = []
        self.single, self.probable = False, True

    def see(self, preds: Any, targets: tuple[Any, ...], losses: Tensor) -> Tensor | None:
        """Take a batch; items whose class is to be ignored have no row."""
        targs, outputs = self._checked(preds, targets)
        self.single = outputs.numel() == len(targs) and not self._one_class()
        probs = _two_columns(outputs, len(targs)) if self.single else outputs
        if not self.classes:
            self.classes = check_vocab(self.vocab, self.known, probs.shape[1])
        decoded = None if self.single else self._decoded(probs)
        low, high = probs.aminmax()
        self.probable &= bool((low >= 0) & (high <= 1 + 1e-3))
        present = targs != self.ignored
        if bool(present.all()):
            self._keep(probs, targs, losses, decoded)
            return None
        decoded = None if decoded is None else decoded[present]
        self._keep(probs[present], targs[present], losses[present], decoded)
        return present

    def rows(self) -> ClassRows:
        """Return what was kept, on the CPU."""
        return ClassRows(**self._columns.joined())

    def _one_class(self) -> bool:
        """Return whether a single output can only be that of a single class."""
        known = self.known if self.vocab is None else self.vocab
        return self.over_classes if known is None else len(known) == 1

    def _decoded(self, probs: Tensor) -> Tensor | None:
        """Return what the loss makes of probabilities, if that is a class for each item."""
        decoded = plain(self.decode(probs))
        return decoded if decoded.shape == probs.shape[:1] else None

    def _keep(self, probs: Tensor, targs: Tensor, losses: Tensor, decoded: Tensor | None) -> None:
        outside = (targs < 0) | (targs >= len(self.classes))
        if bool(outside.any()):
            raise DataError(
                f"A target is {int(targs[outside][0])}, but the model's {len(self.classes)} "
                f"classes have the numbers 0 to {len(self.classes) - 1}. The model was made for "
                "other data."
            )
        self._columns.add(**vars(ClassRows.of(probs, targs, losses, decoded)))

    def _checked(self, preds: Any, targets: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
        if len(targets) != 1 or not isinstance(preds, Tensor):
            raise DataError(
                "ClassificationInterpretation needs one tensor of outputs and one target for each "
                f"item, but the model answers with a {type(preds).__name__} and there are "
                f"{len(targets)} targets. Use Interpretation, which looks at the losses."
            )
        targs, outputs, n = plain(targets[0]), plain(preds), len(preds)
        if targs.numel() != n or (targs.is_floating_point() and targs.frac().any()):
            raise DataError(
                "ClassificationInterpretation needs one class per item, but the targets have the "
                f"shape {list(targs.shape)} and the predictions {list(preds.shape)}. Use "
                "MultiLabelInterpretation for several labels, Interpretation for masks or numbers."
            )
        if outputs.ndim != 2 and outputs.numel() != n:
            raise DataError(
                "ClassificationInterpretation needs one class per item, but the predictions have "
                f"the shape {list(outputs.shape)}. Use Interpretation for masks."
            )
        return targs.reshape(n).long(), outputs


def _two_columns(preds: Tensor, n: int) -> Tensor:
    """Return the probabilities of two classes, [n, 2], from that of the second.

    Raises:
        DataError: the values are no probabilities.
    """
    one = preds.reshape(n, 1)
    if bool(((one < 0) | (one > 1)).any()):
        raise DataError(
            "The model has one output, which is to be the probability of the second class, but it "
            f"goes from {float(one.min()):.3g} to {float(one.max()):.3g}. Say what makes a "
            "probability of it: from_learner(learn, act=torch.sigmoid)."
        )
    return torch.cat([1 - one, one], 1)


def check_vocab(
    vocab: list[Any] | None, known: list[Any] | None, n_classes: int, *, several: bool = False
) -> list[Any]:
    """Return the classes, as many as the model tells apart.

    Args:
        vocab: those of the data that the model was asked about.
        known: those that the model learned.
        n_classes: how many outputs the model has.
        several: an item may have several of them, or none, so that one alone makes sense.

    Raises:
        DataError: there is only one, or those of the data are not those of the model.
    """
    if vocab is not None and known is not None and list(vocab) != list(known):
        raise DataError(_not_the_same(list(vocab), list(known)))
    vocab = known if vocab is None else vocab
    vocab = list(range(n_classes)) if vocab is None else list(vocab)
    if len(vocab) != n_classes:
        raise DataError(
            f"The model tells {n_classes} classes apart, but the data has {len(vocab)}: "
            f"{_some(vocab)}. The model was made for other data: make it with this data, or "
            "interpret it on the data that it was trained on."
        )
    if n_classes == 1 and not several:
        raise DataError(
            f"There is only one class, {vocab[0]!r}: a model that knows one answer cannot be "
            "wrong, and nothing can be confused. Look at how the data is labelled; "
            "dls.show_batch() shows it."
        )
    return vocab


def _not_the_same(vocab: list[Any], known: list[Any]) -> str:
    unknown = [o for o in vocab if o not in known]
    way_out = (
        "Give the data the model's classes: CategoryBlock(vocab=learn.dls.vocab), and labels that "
        "are among them."
    )
    if not unknown:
        return (
            f"The data has {len(vocab)} classes ({_some(vocab)}) and the model {len(known)} "
            f"({_some(known)}), in another order or number, so that class 0 of one is not that of "
            f"the other. {way_out}"
        )
    near = did_you_mean(unknown[0], known)
    return (
        f"{len(unknown)} of the {len(vocab)} classes of the data are none of the model's: "
        f"{_some(unknown)}.{near} The model knows {len(known)}: {_some(known)}. {way_out}"
    )


def _some(names: list[Any]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(str(o)) for o in names[:_SHOWN]) + more
