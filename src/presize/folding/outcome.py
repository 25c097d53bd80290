"""What one fold came to, and what all of them come to."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from presize.callbacks.gather import GatherPredsCallback, concatenate
from presize.callbacks.recorder import Recorder
from presize.core.device import map_tensors
from presize.data.refolded import FoldedData
from presize.data.rows import rows
from presize.data.warned import warn_user
from presize.folding.ensemble import Ensemble
from presize.train.compiling import uncompile
from presize.train.losses import activation_of, decodes_of

if TYPE_CHECKING:
    from presize.learner import Learner


@dataclass(frozen=True)
class CrossValidation:
    """What came of a cross-validation; its text is a table of the folds.

    Items whose picture cannot be read have no row.

    Args:
        preds: probabilities (or what else the loss makes of outputs) by the model that had not
            seen the item, [n, …].
        targets: [n, …].
        decoded: predictions, such as class numbers, [n, …].
        items: what the rows are of.
        folds: the fold that judged each item, int64 [n], from 0.
        names: of the figures: valid_loss, and the metrics.
        scores: the figures of each fold, float64 [k, figures].
        ensemble: the models of all folds as one.
    """

    preds: Any
    targets: Any
    decoded: Any
    items: Any
    folds: Tensor
    names: list[str]
    scores: Tensor
    ensemble: "Ensemble"

    @property
    def mean(self) -> dict[str, float]:
        """The mean of each figure over the folds."""
        return dict(zip(self.names, self.scores.mean(0).tolist(), strict=True))

    @property
    def std(self) -> dict[str, float]:
        """The spread of each figure over the folds: their standard deviation, with n - 1."""
        return dict(zip(self.names, self.scores.std(0).tolist(), strict=True))

    def __repr__(self) -> str:
        figures = [[f"{value:.6g}" for value in row] for row in self.scores.tolist()]
        table = [["fold", *self.names]]
        table += [[str(i + 1), *row] for i, row in enumerate(figures)]
        for name, values in (("mean", self.mean), ("std", self.std)):
            table.append([name, *(f"{value:.6g}" for value in values.values())])
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in table)


@dataclass(frozen=True)
class Outcome:
    """What one fold came to: its figures, predictions and weights."""

    names: list[str]
    scores: list[float]
    preds: Any
    targets: Any
    rows: list[int]
    weights: dict[str, Tensor]


def judged(learn: "Learner", valid: list[int]) -> Outcome:
    """Judge a model on the items at these positions, in one pass.

    Args:
        learn: the learner, whose validation set they are.
        valid: their positions among all items.
    """
    # Rows are matched to items by position: whatever the learner's loader does, all come in order.
    dl = learn.dls.valid.new(shuffle=False, drop_last=False, n=None, sampler=None, weights=None)
    bad_ones = dl.quarantine
    if bad_ones is not None:
        bad_ones.clear()  # what this pass leaves out has no row, not what others left out
    # A recorder of its own: the learner's may be one that computes nothing in validation.
    gather, recorder = GatherPredsCallback(), Recorder()
    with learn.no_bar():
        found = learn.validate(dl=dl, cbs=[gather, recorder])
    scores = [float("nan") if v is None else float(v) for v in found]
    names = ["valid_loss", *(metric.name for metric in learn.metrics)][: len(scores)]
    missing = {bad.index for bad in bad_ones or () if bad.split == 1 and bad.done == "left out"}
    kept = [place for i, place in enumerate(valid) if i not in missing]
    activation: Callable[[Any], Any] = activation_of(learn.loss_func)
    preds = activation(gather.all_preds())
    weights = {n: t.detach().cpu().clone() for n, t in learn.model.state_dict().items()}
    targets = map_tensors(lambda t: t.as_subclass(Tensor), gather.all_targets())
    return Outcome(names, scores, preds, targets, kept, weights)


def put_together(
    learn: "Learner", whole: FoldedData, numbers: Any, outcomes: list[Outcome]
) -> CrossValidation:
    """Return what all folds come to, a row for each item in the order of the items.

    Args:
        learn: the learner of the last fold.
        whole: all items.
        numbers: the fold of each, int64 [n].
        outcomes: one for each fold; their weights are used up.
    """
    places = torch.tensor([place for outcome in outcomes for place in outcome.rows])
    order = places.argsort()
    preds, targets = (
        map_tensors(lambda t: t[order], concatenate([getattr(o, what) for o in outcomes]))
        for what in ("preds", "targets")
    )
    n, kept = len(numbers), places[order].tolist()
    if len(kept) < n:
        warn_user(
            f"{n - len(kept)} of the {n} items could not be read and have no row: see "
            "`result.items` for those that have one."
        )
    decode: Callable[[Any], Any] = decodes_of(learn.loss_func)
    return CrossValidation(
        preds=preds,
        targets=targets,
        decoded=decode(preds),
        items=rows(whole.dsets.items, kept),
        folds=torch.from_numpy(numbers)[places[order]],
        names=outcomes[0].names,
        scores=torch.tensor([o.scores for o in outcomes], dtype=torch.float64),
        ensemble=Ensemble(learn, _models(learn.model, [o.weights for o in outcomes])),
    )


def _models(model: nn.Module, weights: list[dict[str, Tensor]]) -> list[nn.Module]:
    """Return a copy of a model for each set of weights; the sets are emptied on the way."""
    uncompile(model)
    model.zero_grad()
    made = []
    for state in weights:
        other = copy.deepcopy(model)
        other.load_state_dict(state)
        state.clear()
        made.append(other)
    return made
