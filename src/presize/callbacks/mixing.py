"""MixUp and CutMix: training on mixed pictures, whose targets are mixed alike.

Class numbers become probabilities [n, classes], which the loss takes as they are; the targets of
several labels and quantities are blended. What is drawn is a function of the loader's seed and
epoch and of the number of the batch, so a run that was killed goes on with the same mixtures.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from presize.augment.mix import (
    MixPlan,
    blend,
    blend_targets,
    generator,
    larger_share,
    one_hot,
    plan_cutmix,
    plan_either,
    plan_mixup,
)
from presize.callbacks.base import Callback
from presize.core.errors import DataError, TrainingError
from presize.core.parameters import check_chance
from presize.core.randomness import default_seed
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders, TfmdDL, get_c
from presize.data.showing import FigSize, how_many, show_each, show_values
from presize.show.grids import Grid
from presize.tensors import TensorMask, TensorMultiCategory, TensorPoint
from presize.train.loss_kinds import takes_alike, takes_classes
from presize.train.names import inner, name_of

if TYPE_CHECKING:
    from presize.learner import Learner


class _Mixing(Callback):
    """The base of the callbacks that mix items: a subclass gives `plan`.

    Validation sees whole items. Training metrics (`Recorder(train_metrics=True)`) compare with the
    class, or the labels, of the item that has the larger share; quantities stay blended.

    Args:
        p: the chance that an item is mixed at all.
        classes: how many classes there are; None asks the model and the data.
    """

    order = 10
    run_valid = False

    def __init__(self, *, p: float = 1.0, classes: int | None = None) -> None:
        check_chance(p)
        self.p, self.classes = p, classes
        self._to_classes = False
        self._for_metrics: Tensor | None = None
        self._looks = 0

    def plan(self, rng: np.random.Generator, n: int, hw: tuple[int, int]) -> MixPlan:
        """Draw how `n` items are mixed.

        Args:
            rng: the draws.
            n: the number of items.
            hw: height and width of pictures; (1, 1) for what is none.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `plan`")

    def before_fit(self, learn: "Learner") -> None:
        """Check that the targets can be mixed, and find how.

        Raises:
            TrainingError: they cannot, or another callback mixes, too.
        """
        mixers = [cb for cb in learn.cbs if isinstance(cb, _Mixing)]
        if len(mixers) > 1:
            raise TrainingError(
                f"{' and '.join(map(repr, mixers))} would mix what is mixed already. Use one of "
                "them, or CutMixUp(), which does the one or the other to each item."
            )
        self._to_classes = self._takes_probabilities(learn.loss_func)
        task = getattr(learn.dls, "task", None)
        if task in ("segmentation", "points"):
            self._refuse(f"the task is {task}")
        self._for_metrics = None

    def before_batch(self, learn: "Learner") -> None:
        """Mix inputs and targets."""
        targets = learn.typed_batch[len(learn.xb) :]
        if len(targets) != 1:
            self._refuse(f"there are {len(targets)} targets")
        if isinstance(targets[0], TensorMask | TensorPoint) or not isinstance(targets[0], Tensor):
            self._refuse(f"the target is a {type(targets[0]).__name__}")
        y: Tensor = learn.yb[0]
        plan = self.plan(_draws_of(learn, type(self).__name__), len(y), _extent(learn.xb))
        if plan.boxes is not None:
            self._check_alike(learn.xb)
        learn.xb = tuple(self._mixed(x, plan) for x in learn.xb)
        labels = self._to_classes or isinstance(targets[0], TensorMultiCategory)
        self._for_metrics = larger_share(y, plan) if labels or _is_multilabel(learn) else None
        if self._to_classes and not y.is_floating_point():
            y = self._probabilities(y, learn)
        learn.yb = (blend_targets(y, plan),)

    def after_batch(self, learn: "Learner") -> None:
        """Give the training metrics targets that they know."""
        if self._for_metrics is not None:
            learn.yb, self._for_metrics = (self._for_metrics,), None

    def after_fit(self, learn: "Learner") -> None:
        """Let go of the last batch."""
        self._for_metrics = None

    def show(
        self,
        dls: DataLoaders,
        max_n: int | None = None,
        nrows: int | None = None,
        ncols: int | None = None,
        *,
        figsize: FigSize = None,
    ) -> Grid | None:
        """Draw a mixed batch of the training loader, with the shares of the two targets.

        Args:
            dls: the data.
            max_n: pictures at most; by default as many as `nrows` and `ncols` say, or 9.
            nrows: rows of the grid.
            ncols: columns of the grid.
            figsize: (width, height) in inches.

        Raises:
            TypeError: the loader is not presize's own.
        """
        dl = dls.train
        if not isinstance(dl, TfmdDL):
            raise TypeError(
                f"{type(self).__name__}.show needs a loader that knows its transforms (TfmdDL), "
                f"but got a {type(dl).__module__}.{type(dl).__name__}."
            )
        self._looks += 1
        x, y = dl.one_batch()[:2]
        rng = generator(dl.current_seed(), -self._looks, 0, 0, type(self).__name__)
        plan = self.plan(rng, len(x), _extent((x,)))
        mixed, n = self._mixed(x, plan), how_many(max_n, nrows, ncols)
        own = dl.decode_batch((mixed, y), n)
        others = dl.decode_batch((mixed, y[plan.partner.tolist()]), n)
        samples = [
            (picture, _title(first, second, share))
            for (picture, first), (_, second), share in zip(own, others, plan.share, strict=False)
        ]
        return show_each(samples, show_values, nrows, ncols, figsize)

    def _mixed(self, x: Any, plan: MixPlan) -> Tensor:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            kind = str(x.dtype).removeprefix("torch.") if isinstance(x, Tensor) else type(x)
            raise TrainingError(
                f"{self!r} mixes floats, but an input is {kind}. Pictures become floats by "
                "IntToFloatTensor, which is among the batch transforms of every ImageBlock."
            )
        if plan.boxes is not None and x.ndim != 4:
            raise TrainingError(
                f"{self!r} cuts boxes out of pictures [n,c,h,w], but an input has the shape "
                f"{list(x.shape)}. MixUp() takes inputs of any shape."
            )
        return blend(x, plan)

    def _check_alike(self, xb: tuple[Any, ...]) -> None:
        """Refuse pictures of which a box of pixels would be different parts."""
        sizes = {tuple(x.shape[-2:]): None for x in xb if isinstance(x, Tensor) and x.ndim == 4}
        if len(sizes) > 1:
            told = " and ".join(f"{height}x{width}" for height, width in sizes)
            raise TrainingError(
                f"{self!r} cuts the same pixels out of all inputs, but these are pictures of "
                f"{told}. Bring them to one size, or use MixUp(), which takes inputs of any shape."
            )

    def _probabilities(self, y: Tensor, learn: "Learner") -> Tensor:
        if y.ndim != 1:
            self._refuse(f"the target is of shape {list(y.shape)}, a class for each of many places")
        classes = self._n_classes(learn)
        try:
            return one_hot(y, classes)
        except RuntimeError as error:
            raise TrainingError(
                f"{self!r}: a target is none of the {classes} classes, which are numbered from 0 "
                f"to {classes - 1}: {error}. If there are more, say how many: "
                f"{type(self).__name__}(classes=...)."
            ) from error

    def _n_classes(self, learn: "Learner") -> int:
        if self.classes is not None:
            return self.classes
        spec: Any = getattr(learn.model, "spec", None)
        if isinstance(spec, dict) and isinstance(spec.get("n_out"), int):
            return int(spec["n_out"])
        try:
            return get_c(learn.dls)
        except DataError:
            raise TrainingError(
                f"{self!r} makes probabilities of class numbers, but neither the model nor the "
                f"data says how many classes there are. Say it: {type(self).__name__}(classes=10)."
            ) from None

    def _takes_probabilities(self, loss: Callable[..., Any]) -> bool:
        """Say whether targets are classes that become probabilities; False blends them."""
        kind = getattr(loss, "kind", None)
        plain = inner(loss)
        if kind == "classes":
            return True
        if isinstance(plain, nn.CrossEntropyLoss) or plain is F.cross_entropy:
            self._check_scale(loss)
            return True
        if kind == "alike" or takes_alike(loss):
            return False
        if takes_classes(loss):
            raise TrainingError(
                f"{self!r} turns class numbers into probabilities, which {name_of(loss)} does not "
                "take. Use CrossEntropyLossFlat(), and let the model end in scores."
            )
        raise TrainingError(
            f"{self!r} does not know what targets {name_of(loss)} takes. Use a loss of presize or "
            "PyTorch, such as CrossEntropyLossFlat(); or tell: `my_loss.kind = 'classes'` if it "
            "takes probabilities [n, classes] in place of class numbers, `my_loss.kind = 'alike'` "
            "if it takes values of the shape of the outputs."
        )

    def _check_scale(self, loss: Callable[..., Any]) -> None:
        """Refuse what PyTorch's cross-entropy does otherwise, or not, for probabilities."""
        weighted = _setting(loss, "weight", None) is not None
        if weighted and _setting(loss, "reduction", "mean") == "mean":
            why, way = "divides by the number of items, not by their class weights", "weight=..."
        elif _setting(loss, "ignore_index", -100) >= 0:
            why, way = "has no class to ignore", "ignore_index=..."
        else:
            return
        raise TrainingError(
            f"{self!r} turns class numbers into probabilities, for which PyTorch's {name_of(loss)} "
            f"{why}, so the loss would be another one than that of validation. Use "
            f"CrossEntropyLossFlat({way}), which is the same for both."
        )

    def _refuse(self, why: str) -> None:
        raise TrainingError(
            f"{self!r} mixes pictures with one target each, a class, labels or a quantity, but "
            f"{why}. Masks and points have no blend; leave {type(self).__name__} out."
        )


class MixUp(_Mixing):
    """Train on blends of two pictures each (Zhang et al., arXiv:1710.09412).

    `MixUp().show(dls)` draws some.

    Args:
        alpha: the shares are drawn from Beta(alpha, alpha), for each picture by itself: the
            larger, the more even.
        p: the chance that a picture is mixed at all.
        classes: how many classes there are; None asks the model and the data.

    Raises:
        ValueError: a number outside its range.
    """

    def __init__(self, alpha: float = 0.4, *, p: float = 1.0, classes: int | None = None) -> None:
        super().__init__(p=p, classes=classes)
        self.alpha = _checked("MixUp: alpha", alpha)

    def plan(self, rng: np.random.Generator, n: int, hw: tuple[int, int]) -> MixPlan:
        """Draw the shares."""
        return plan_mixup(rng, n, alpha=self.alpha, p=self.p)

    def __repr__(self) -> str:
        return f"MixUp({self.alpha:g})"


class CutMix(_Mixing):
    """Train on pictures with a box out of another picture in each (arXiv:1905.04899).

    `CutMix().show(dls)` draws some.

    Args:
        alpha: the shares are drawn from Beta(alpha, alpha), for each picture by itself; 1 makes
            all equally likely.
        p: the chance that a picture is mixed at all.
        classes: how many classes there are; None asks the model and the data.

    Raises:
        ValueError: a number outside its range.
    """

    def __init__(self, alpha: float = 1.0, *, p: float = 1.0, classes: int | None = None) -> None:
        super().__init__(p=p, classes=classes)
        self.alpha = _checked("CutMix: alpha", alpha)

    def plan(self, rng: np.random.Generator, n: int, hw: tuple[int, int]) -> MixPlan:
        """Draw the boxes."""
        return plan_cutmix(rng, n, hw, alpha=self.alpha, p=self.p)

    def __repr__(self) -> str:
        return f"CutMix({self.alpha:g})"


class CutMixUp(_Mixing):
    """Do either CutMix or MixUp to each picture.

    Args:
        mixup_alpha: the shares of MixUp are drawn from Beta(mixup_alpha, mixup_alpha).
        cutmix_alpha: the same for CutMix.
        p_cutmix: the chance of CutMix for a picture that is mixed.
        p: the chance that a picture is mixed at all.
        classes: how many classes there are; None asks the model and the data.

    Raises:
        ValueError: a number outside its range.
    """

    def __init__(
        self,
        mixup_alpha: float = 0.4,
        cutmix_alpha: float = 1.0,
        *,
        p_cutmix: float = 0.5,
        p: float = 1.0,
        classes: int | None = None,
    ) -> None:
        super().__init__(p=p, classes=classes)
        check_chance(p_cutmix, "p_cutmix")
        self.mixup_alpha = _checked("CutMixUp: mixup_alpha", mixup_alpha)
        self.cutmix_alpha = _checked("CutMixUp: cutmix_alpha", cutmix_alpha)
        self.p_cutmix = p_cutmix

    def plan(self, rng: np.random.Generator, n: int, hw: tuple[int, int]) -> MixPlan:
        """Draw shares, boxes, and which of them each picture gets."""
        mixup = plan_mixup(rng, n, alpha=self.mixup_alpha, p=self.p)
        cutmix = plan_cutmix(rng, n, hw, alpha=self.cutmix_alpha, p=self.p)
        return plan_either(cutmix, mixup, rng.random(n) < self.p_cutmix)

    def __repr__(self) -> str:
        return f"CutMixUp({self.mixup_alpha:g}, {self.cutmix_alpha:g})"


def _draws_of(learn: "Learner", op: str) -> np.random.Generator:
    """Return the draws for the batch under way, of this process."""
    dl, rank = learn.dl, learn.ranks.number
    if isinstance(dl, DataLoader):
        # The loader counts its passes through all fits; while one runs it is the number after it.
        return generator(dl.current_seed(), dl.epoch, learn.iter, rank, op)
    return generator(default_seed(), learn.epoch, learn.iter, rank, op)


def _extent(xb: tuple[Any, ...]) -> tuple[int, int]:
    """Return height and width of the first input that is pictures."""
    found = (x.shape[-2:] for x in xb if isinstance(x, Tensor) and x.ndim == 4)
    height, width = next(found, (1, 1))
    return int(height), int(width)


def _setting(loss: Any, name: str, default: Any) -> Any:
    """Return what a loss, a function or class of PyTorch, was set to, also in a partial."""
    given: dict[str, Any] = getattr(loss, "keywords", {})
    return given.get(name, getattr(inner(loss), name, default))


def _is_multilabel(learn: "Learner") -> bool:
    return getattr(learn.dls, "task", None) == "multilabel"


def _title(first: Any, second: Any, share: float) -> str:
    if share == 1:
        return _words(first)
    return f"{share:.0%} {_words(first)}\n{1 - share:.0%} {_words(second)}"


def _words(target: Any) -> str:
    several = isinstance(target, list | tuple) or hasattr(target, "itemgot")
    return ";".join(map(str, target)) if several else str(target)


def _checked(name: str, alpha: float) -> float:
    if not 0 < alpha < float("inf"):
        raise ValueError(f"{name} must be above 0, got {alpha!r}.")
    return float(alpha)
