"""Holds training steady: clipped gradients, and batches added up to a larger one.

Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.
"""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from presize.callbacks.base import Callback
from presize.core.errors import TrainingError

if TYPE_CHECKING:
    from presize.learner import Learner


class GradientClip(Callback):
    """Limits the gradients before every step, in true scale whatever the precision.

    Args:
        max_norm: the most that the norm of all gradients together may be; above it all of them
            are multiplied by max_norm / norm, so that their direction stays. None sets no limit.
        value: the most that each single element may be, up or down; None sets no limit.
        norm_type: which norm; `float("inf")` takes the largest element.

    Raises:
        ValueError: neither is given, or a limit is not a positive number.
    """

    order = 30
    run_valid = False

    def __init__(
        self, max_norm: float | None = None, *, value: float | None = None, norm_type: float = 2.0
    ) -> None:
        if max_norm is None and value is None:
            raise ValueError(
                "GradientClip needs a limit: GradientClip(max_norm=1.0) for the norm of all "
                "gradients, GradientClip(value=0.1) for each element, or both."
            )
        for name, limit in (("max_norm", max_norm), ("value", value)):
            if limit is not None and not limit > 0:
                raise ValueError(f"GradientClip({name}=…) is a number above 0, but got {limit!r}.")
        self.max_norm, self.value, self.norm_type = max_norm, value, norm_type
        self.norm: Tensor | None = None

    def before_step(self, learn: "Learner") -> None:
        """Clip; the norm before it stays on the device as `self.norm`."""
        assert learn.opt is not None
        found = [p for group in learn.opt.param_groups for p in group["params"]]
        if self.value is not None:
            torch.nn.utils.clip_grad_value_(found, self.value)
        if self.max_norm is not None:
            self.norm = torch.nn.utils.clip_grad_norm_(found, self.max_norm, self.norm_type)

    def after_fit(self, learn: "Learner") -> None:
        """Let go of the device's memory."""
        self.norm = None

    def __repr__(self) -> str:
        limits = {"max_norm": self.max_norm, "value": self.value}
        given = ", ".join(f"{name}={limit}" for name, limit in limits.items() if limit is not None)
        return f"GradientClip({given})"


class GradientAccumulation(Callback):
    """Lets the optimizer step once in about `n_acc` items, for the fits that it takes part in.

    Sets `learn.accumulate`, a number of batches, and puts it back afterwards. The gradients are
    those of one large batch. `Learner(accumulate=4)` does the same for all fits.

    Args:
        n_acc: how many items make a step; rounded up to whole batches.

    Raises:
        ValueError: that is less than one.
    """

    order = -5

    def __init__(self, n_acc: int = 32) -> None:
        if type(n_acc) is not int or n_acc < 1:
            raise ValueError(
                f"GradientAccumulation takes the number of items that make a step, 1 or more, "
                f"but got {n_acc!r}."
            )
        self.n_acc = n_acc
        self._before: int | None = None

    def before_fit(self, learn: "Learner") -> None:
        """Set how many batches make a step.

        Raises:
            TrainingError: the training loader does not say how large its batches are.
        """
        items = getattr(learn.dls.train, "bs", None)
        if not items:
            raise TrainingError(
                "GradientAccumulation counts items, but the training loader does not say how many "
                "a batch holds (it has no `bs`). Give the number of batches instead: "
                "learn.accumulate = 4."
            )
        self._before = learn.accumulate
        learn.accumulate = math.ceil(self.n_acc / (items * learn.ranks.world))

    def after_fit(self, learn: "Learner") -> None:
        """Put the number back to what it was."""
        if self._before is not None:
            learn.accumulate, self._before = self._before, None

    def __repr__(self) -> str:
        return f"GradientAccumulation({self.n_acc})"
