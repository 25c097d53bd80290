"""The learning-rate finder: a mock training with growing rates that leaves no trace.

Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017.
"""

import copy
import random
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from presize.callbacks.base import CancelFit, CancelValidate
from presize.callbacks.schedule import ParamScheduler
from presize.core.errors import TrainingError
from presize.train.optim import set_hyper
from presize.train.schedules import SchedExp

if TYPE_CHECKING:
    from presize.learner import Learner

PROGRESS = ("epoch", "n_epoch", "iter", "n_iter", "train_iter", "pct_train", "training", "dl")
Suggestion = Callable[[np.ndarray, np.ndarray, int], tuple[float, float]]


def minimum(lrs: np.ndarray, losses: np.ndarray, num_it: int) -> tuple[float, float]:
    """Suggest a tenth of the rate at the lowest loss; returns (rate, loss there)."""
    best = int(losses.argmin())
    tenth = lrs[best] / 10
    return float(tenth), float(losses[np.abs(lrs - tenth).argmin()])


def steep(lrs: np.ndarray, losses: np.ndarray, num_it: int) -> tuple[float, float]:
    """Suggest the rate where the loss falls fastest; returns (rate, loss there)."""
    slopes = np.gradient(losses, np.log10(lrs))
    best = int(slopes.argmin())
    return float(lrs[best]), float(losses[best])


def valley(lrs: np.ndarray, losses: np.ndarray, num_it: int) -> tuple[float, float]:
    """Suggest the rate two thirds down the longest fall of the loss; returns (rate, loss)."""
    n = len(losses)
    length, previous = [1] * n, list(range(n))
    for i in range(1, n):
        for j in range(i):
            if losses[i] < losses[j] and length[i] < length[j] + 1:
                length[i], previous[i] = length[j] + 1, j
    end = int(np.argmax(length))
    start = end
    while previous[start] != start:
        start = previous[start]
    index = start + int((end - start) * 2 / 3)
    return float(lrs[index]), float(losses[index])


def slide(lrs: np.ndarray, losses: np.ndarray, num_it: int) -> tuple[float, float]:
    """Suggest where the slope of the loss begins to change for good; returns (rate, loss there).

    A window is moved down from the highest rate as long as the slopes at its ends differ.
    """
    slopes = np.gradient(losses)
    width = min(15, len(losses) - 1)
    left = len(losses) - 1 - width
    while left > 0 and abs(slopes[left - 1 + width] - slopes[left - 1]) > 0.005:
        left -= 1
    return float(lrs[left]), float(losses[left])


class LRFinder(ParamScheduler):
    """Multiplies the rate at every step and stops when the loss diverges.

    Args:
        start_lr: the first rate.
        end_lr: the last rate.
        num_it: how many steps lie between them.
        stop_div: stop when the smoothed loss is four times its lowest.
    """

    def __init__(
        self, start_lr: float = 1e-7, end_lr: float = 10, num_it: int = 100, stop_div: bool = True
    ) -> None:
        low, high = np.atleast_1d(start_lr).astype(float), np.atleast_1d(end_lr).astype(float)
        curves = [SchedExp(a, b) for a, b in zip(*np.broadcast_arrays(low, high), strict=True)]
        # A single rate is for all layer groups.
        many = len(curves) > 1
        super().__init__({"lr": lambda p: [c(p) for c in curves] if many else curves[0](p)})
        self.num_it, self.stop_div = num_it, stop_div
        # At first the rate is too low to matter and the loss only jumps from batch to batch; the
        # suggestions leave this part out as well.
        self.quiet = num_it // 10
        self.best = float("inf")

    def before_batch(self, learn: "Learner") -> None:
        """Set the rate of this step."""
        assert learn.opt is not None
        progress = min(learn.train_iter / max(self.num_it - 1, 1), 1.0)
        set_hyper(learn.opt, "lr", self.scheds["lr"](progress))

    def after_batch(self, learn: "Learner") -> None:
        """Stop on divergence or at the last step. The loss is read: this is no real training."""
        super().after_batch(learn)
        loss = float(learn.recorder.smooth_loss.value or 0.0)
        if learn.train_iter >= self.quiet:
            self.best = min(self.best, loss)
        if self.stop_div and (loss > 4 * self.best or not np.isfinite(loss)):
            raise CancelFit
        if learn.train_iter >= self.num_it:
            raise CancelFit

    def before_validate(self, learn: "Learner") -> None:
        """Skip validation."""
        raise CancelValidate


def suggested(
    lrs: Sequence[float], losses: Sequence[float], num_it: int, functions: Sequence[Suggestion]
) -> tuple[Any, list[tuple[float, float]]]:
    """Return the suggestions as a named tuple, and their (rate, loss) points for the plot.

    Raises:
        TrainingError: too few finite losses to say anything.
    """
    xs, ys = np.asarray(lrs, dtype=float), np.asarray(losses, dtype=float)
    finite = np.isfinite(ys)
    skip = max(len(ys) // 10, 1)
    xs, ys = xs[finite][skip:], ys[finite][skip:]
    stop = len(ys) - 5
    xs, ys = (xs[:stop], ys[:stop]) if stop >= 4 else (xs, ys)
    if len(ys) < 4:
        raise TrainingError(
            f"lr_find saw only {int(finite.sum())} finite losses in {len(finite)} of {num_it} "
            "steps, too few to suggest a rate. "
            + (
                "Take more steps, lr_find(num_it=100)."
                if finite.all() and len(finite) >= num_it
                else "Check the loss function and the data, or begin lower, lr_find(start_lr=1e-9)."
            )
        )
    points = [function(xs, ys, num_it) for function in functions]
    names = [
        getattr(function, "__name__", f"suggestion_{i}") for i, function in enumerate(functions)
    ]
    # They have names, and print as the plain pair that they are.
    kind = namedtuple("SuggestedLRs", names)  # type: ignore[misc]
    plain = type("SuggestedLRs", (kind,), {"__slots__": (), "__repr__": tuple.__repr__})
    return plain(*(rate for rate, _ in points)), points


def plot_lr_find(
    lrs: Sequence[float],
    losses: Sequence[float],
    suggestions: Any = None,
    points: Sequence[tuple[float, float]] = (),
    *,
    skip_end: int = 5,
    ax: Any = None,
) -> Any:
    """Draw loss against rate, with the suggestions marked; return the axes."""
    from matplotlib import pyplot as plt

    axes = ax if ax is not None else plt.subplots()[1]
    end = len(lrs) - skip_end if skip_end and len(lrs) > 2 * skip_end else len(lrs)
    axes.plot(lrs[:end], losses[:end])
    axes.set(xlabel="learning rate", ylabel="loss", xscale="log")
    names = getattr(suggestions, "_fields", ())
    for i, (name, (rate, loss)) in enumerate(zip(names, points, strict=False)):
        axes.plot(rate, loss, "o", color=f"C{i + 1}", label=f"{name}: {rate:.2e}")
    if names:
        axes.legend(loc="best")
    return axes


@contextmanager
def no_trace(learn: "Learner") -> Iterator[None]:
    """Put everything back afterwards: weights, buffers, optimizer, recorder, random states."""
    model, opt = learn.model, learn.opt
    weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
    gradients = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    modes = [(m, m.training) for m in model.modules()]
    opt_state = copy.deepcopy(opt.state_dict()) if opt is not None else None
    recorder = dict(vars(learn.recorder))
    progress = {name: getattr(learn, name) for name in PROGRESS}
    loader_epoch = getattr(learn.dls.train, "epoch", None)
    # The global generator of NumPy is what a user's own transforms may draw from.
    rng = (random.getstate(), np.random.get_state(), torch.get_rng_state())  # noqa: NPY002
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in model.state_dict().items():
                value.copy_(weights[name])
        for parameter, wanted, gradient in gradients:
            parameter.requires_grad_(wanted)
            parameter.grad = gradient
        for module, training in modes:
            module.training = training
        learn.opt = opt
        if opt is not None and opt_state is not None:
            opt.load_state_dict(opt_state)
        vars(learn.recorder).clear()
        vars(learn.recorder).update(recorder)
        vars(learn).update(progress)
        if loader_epoch is not None:
            learn.dls.train.set_epoch(loader_epoch)
        random.setstate(rng[0])
        np.random.set_state(rng[1])  # noqa: NPY002
        torch.set_rng_state(rng[2])
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
