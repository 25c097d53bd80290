"""What a model says of the items of a loader, by rows."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from presize.core.device import map_tensors
from presize.data.badlist import BadPicture
from presize.data.warned import warn_user

if TYPE_CHECKING:
    from presize.train.calibration import Unknown

_SHOWN = 4


@dataclass(frozen=True)
class Answers:
    """What a model says of the items of a loader, a row for each that could be read.

    Args:
        inputs: as the model saw them; None if they were not asked for.
        preds: predictions after the activation; None if there were no batches.
        targets: None if the loader has none.
        decoded: decoded predictions, such as class numbers; None if they were not asked for.
        losses: the loss of each item; None if they were not asked for.
        left_out: what could not be read and has no row, by its index in the data set.
        unknown: whether each item is none of the classes; None if that was not asked for.
    """

    inputs: Any
    preds: Any
    targets: Any
    decoded: Any
    losses: Tensor | None
    left_out: Mapping[int, BadPicture]
    unknown: "Sequence[Unknown] | None" = None

    def indices(self) -> Tensor:
        """Return the index in the data set of each row: int64 [n]."""
        one = self.preds if isinstance(self.preds, Tensor) else self.preds[0]
        n = len(one) + len(self.left_out)
        return torch.tensor([i for i in range(n) if i not in self.left_out], dtype=torch.int64)


def same_rows(passes: Sequence[Answers]) -> list[Answers]:
    """Return the answers of several passes for the items that each of them could read.

    A picture may be read in one pass and not in the next, as where a network drive comes and goes.
    """
    found = {i: bad for answers in passes for i, bad in answers.left_out.items()}
    missing = {i: found[i] for i in sorted(found)}
    if all(len(answers.left_out) == len(missing) for answers in passes):
        return list(passes)
    gone = torch.tensor(list(missing))
    made = []
    for answers in passes:
        kept = ~torch.isin(answers.indices(), gone)
        of_kept = functools.partial(_rows, kept)
        preds, targets = map_tensors(of_kept, (answers.preds, answers.targets))
        made.append(replace(answers, preds=preds, targets=targets, left_out=missing))
    return made


def _rows(kept: Tensor, values: Tensor) -> Tensor:
    return values[kept]


def warn_of_missing(left_out: Mapping[int, BadPicture]) -> None:
    """Warn of items that have no row, because they could not be read."""
    if not left_out:
        return
    shown = [
        f"item {i}" + (f", {bad.where}" if bad.path or bad.name else "")
        for i, bad in list(left_out.items())[:_SHOWN]
    ]
    more = f"; and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
    is_one = len(left_out) == 1
    warn_user(
        f"{len(left_out)} item{'' if is_one else 's'} could not be read and "
        f"{'has' if is_one else 'have'} no row: {'; '.join(shown)}{more}. The rows are those of "
        "all other items, in the order of the data set."
    )
