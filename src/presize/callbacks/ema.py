"""Averages the weights over the steps: a model that is often better than any of them.

Polyak, Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM J. Control and
Optimization 30(4), 1992.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from presize.callbacks.base import Callback
from presize.callbacks.resting import looks_for_rate
from presize.core.errors import TrainingError
from presize.train.parts import lies_in_parts, own_parts

if TYPE_CHECKING:
    from presize.learner import Learner


class EMA(Callback):
    """Keeps an exponential moving average of all weights and buffers while a fit runs.

    The averages are in the model from the start of a validation to the start of the next epoch,
    so that the figures of the table, what is saved on a new best and what a fit leaves behind are
    theirs; training goes on from its own weights. Each fit begins an average of its own.

    Args:
        decay: the weight of the past in 0..1; 0.999 looks back over about a thousand steps.
        warm_up: look back less at first: after t steps over about a tenth of them, so that the
            weights before training, and short fits, do not weigh it down.

    Raises:
        ValueError: `decay` is not between 0 and 1.
    """

    order = 20
    run_valid = False

    def __init__(self, decay: float = 0.999, *, warm_up: bool = True) -> None:
        if not 0 < decay < 1:
            raise ValueError(
                f"EMA(decay) is the weight of the past, above 0 and below 1, but got {decay!r}."
            )
        self.decay, self.warm_up = decay, warm_up
        self._average: _Average | None = None
        self._steps = 0
        self._resting = False

    def before_fit(self, learn: "Learner") -> None:
        """Begin the average with the weights as they are; rest while a rate is looked for."""
        self._resting = looks_for_rate(learn)
        if not self._resting:
            self._average, self._steps = _Average(learn.model), 0

    def before_batch(self, learn: "Learner") -> None:
        """Train on the own weights, also after somebody validated in mid-epoch."""
        if self._average is not None and self._average.inside and not self._resting:
            self._average.swap()

    def after_step(self, learn: "Learner") -> None:
        """Move the average towards the weights."""
        if self._average is None or self._resting:
            return
        self._average.move(1 - self.decay_at(self._steps))
        self._steps += 1

    def before_validate(self, learn: "Learner") -> None:
        """Put the averages into the model."""
        if self._average is not None and not self._average.inside and not self._resting:
            self._average.swap()
            # Buffers are each process's own; the figures are to be those of one model. On the way
            # out of an error the others are somewhere else, and would not answer.
            if learn.ranks.world > 1 and not learn.failing:
                learn.parallel.same_buffers(learn.model)

    def before_epoch(self, learn: "Learner") -> None:
        """Put the own weights back into the model."""
        self.before_batch(learn)

    def after_fit(self, learn: "Learner") -> None:
        """Leave the averages in the model, and forget the rest."""
        if self._resting:
            self._resting = False
            return
        self.before_validate(learn)
        self._average = None

    def decay_at(self, step: int) -> float:
        """Return the weight of the past after so many steps."""
        return min(self.decay, (1 + step) / (10 + step)) if self.warm_up else self.decay

    def state_dict(self) -> dict[str, Any]:
        """Return what is not in the model: the averages, or, while those are in it, its own."""
        if self._average is None:
            return {}
        return {"steps": self._steps, **self._average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on averaging from a checkpoint; the model holds what it held then.

        Raises:
            TrainingError: the averages are of another model.
        """
        if self._average is not None and state:
            self._average.load_state_dict(state)
            self._steps = int(state["steps"])

    def __repr__(self) -> str:
        return f"EMA({self.decay}{'' if self.warm_up else ', warm_up=False'})"


class _Average:
    """A second set of a model's weights and buffers, which moves, and changes places with them.

    Whole numbers, such as the counts of batch norms, are not averaged but copied.
    """

    def __init__(self, model: nn.Module) -> None:
        self.inside = False  # whether the averages are in the model, and its own weights here
        self._live: dict[str, Tensor] = {**dict(model.named_parameters())}
        self._live.update(model.named_buffers())
        # 16 bits could not hold what a step adds: 0.001 of a small difference.
        self._kept = {
            name: t.detach().to(torch.float32 if _short(t) else t.dtype, copy=True)
            for name, t in self._live.items()
        }
        names = [name for name, t in self._live.items() if t.is_floating_point() and not _short(t)]
        self._floats = [[own[n] for n in names] for own in (self._kept, self._live)]
        names = [name for name, t in self._live.items() if _short(t)]
        self._shorts = [[own[n] for n in names] for own in (self._kept, self._live)]
        names = [n for n, t in self._live.items() if not t.is_floating_point()]
        self._counts = [[own[n] for n in names] for own in (self._kept, self._live)]
        self._in_parts = any(map(lies_in_parts, self._live.values()))

    @torch.no_grad()
    def move(self, weight: float) -> None:
        """Bring the average nearer to the weights: average += weight * (weights - average)."""
        kept, live = self._here(self._floats)
        if kept:
            torch._foreach_lerp_(kept, live, weight)
        for average, own in zip(*self._here(self._shorts), strict=True):
            average.lerp_(own.float(), weight)
        kept, live = self._here(self._counts)
        if kept:
            torch._foreach_copy_(kept, live)

    @torch.no_grad()
    def swap(self) -> None:
        """Let the averages and the weights in the model change places."""
        for kept, live in map(self._here, (self._floats, self._shorts, self._counts)):
            if kept:
                # At the precision of the average: what trains must come back to the bit.
                own = [t.to(k.dtype, copy=True) for t, k in zip(live, kept, strict=True)]
                torch._foreach_copy_(live, kept)
                torch._foreach_copy_(kept, own)
        self.inside = not self.inside

    def _here(self, pair: list[list[Tensor]]) -> list[list[Tensor]]:
        """Return what this process has of a pair of lists."""
        return [own_parts(tensors) for tensors in pair] if self._in_parts else pair

    def state_dict(self) -> dict[str, Any]:
        """Return the set that is not in the model."""
        return {"inside": self.inside, "kept": {n: t.clone() for n, t in self._kept.items()}}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a set that `state_dict` returned."""
        given: dict[str, Tensor] = state["kept"]
        wrong = sorted(set(given) ^ set(self._kept)) or [
            name for name, t in self._kept.items() if t.shape != given[name].shape
        ]
        if wrong:
            raise TrainingError(
                f"The averages of the checkpoint are of another model: {len(wrong)} of its weights "
                f"differ, such as `{wrong[0]}`. Build the model as it was when the run began."
            )
        for name, own in self._kept.items():
            own.copy_(given[name])
        self.inside = bool(state["inside"])


def _short(t: Tensor) -> bool:
    return t.dtype in (torch.float16, torch.bfloat16)
