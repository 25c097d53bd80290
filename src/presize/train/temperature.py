"""Temperature scaling: one number that makes probabilities as sure as they are right.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (arXiv:1706.04599).
Scores are divided by a temperature T, above 1 where a model is surer than it is right. T is the one
with the least negative log-likelihood on items that the model was not trained on; the order of the
classes stays, and with it accuracy.

With b = 1 / T the loss is convex in b, and its slope is E_b[z] - z_true: the mean of the scores by
the probabilities at b, less the score of the true class. Where it crosses 0 is found by halving.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from presize.core.errors import DataError

Kind = Literal["softmax", "exp", "sigmoid"]
Activation = Callable[[Tensor], Tensor]

RANGE = (0.05, 20.0)
_ROWS = 8192
_HALVINGS = 25  # of the logarithm of the range, which is 6 long: to 2e-7


def kind_of(activation: Activation) -> Kind | None:
    """Return how an activation makes probabilities of scores; None for another way."""
    probe = torch.tensor([[0.3, -1.2, 0.9], [2.0, 0.0, -0.4]]).log_softmax(1)
    # exp and softmax make the same of log-probabilities: a shift tells them apart.
    known: dict[Kind, Tensor] = {
        "softmax": probe.softmax(1),
        "exp": (probe + 0.5).exp(),
        "sigmoid": (probe + 0.5).sigmoid(),
    }
    try:
        made: Any = activation(probe + 0.5)
    except Exception:  # one for outputs of another form
        return None
    if not isinstance(made, Tensor) or made.shape != probe.shape:
        return None
    return next((k for k, v in known.items() if torch.allclose(made, v, atol=1e-5)), None)


def scaled(outputs: Tensor, temperature: float, activation: Activation) -> Tensor:
    """Return the probabilities that an activation makes of outputs at a temperature."""
    cooled = outputs / temperature
    if kind_of(activation) == "exp":
        cooled = cooled.log_softmax(1)  # or they would not sum to 1
    return activation(cooled)


def fit_temperature(outputs: Tensor, targets: Tensor, kind: Kind) -> float:
    """Return the temperature that fits outputs to what is true, 0.05 to 20.

    One part in n + 1 of the targets is spread over all classes, as Platt does: without it a model
    that is right about all of a few items would be called as sure as can be.

    Args:
        outputs: scores of a softmax or a sigmoid, or log-probabilities ("exp"): [n, c].
        targets: class numbers [n]; for a sigmoid 0 or 1 for each label [n, c].
        kind: how probabilities are made of them.

    Raises:
        DataError: no items, or outputs that are not finite.
    """
    if not len(outputs):
        raise DataError("A temperature is fitted to items, but there are none.")
    if not bool(torch.isfinite(outputs).all()):
        raise DataError(
            "The model's outputs are not all finite (infinite or NaN), so that no temperature "
            "fits. Look at the items in question: learn.get_preds(dl=..., act=noop)."
        )
    spread = 1 / (len(outputs) + 1)
    low, high = (math.log(1 / t) for t in reversed(RANGE))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _slope(outputs, targets, kind, math.exp(middle), spread) > 0:
            high = middle
        else:
            low = middle
    return math.exp(-(low + high) / 2)


def _slope(z: Tensor, targets: Tensor, kind: Kind, b: float, spread: float) -> float:
    """Return the derivative of the negative log-likelihood by b, up to a factor."""
    total = 0.0
    for start in range(0, len(z), _ROWS):
        rows = slice(start, start + _ROWS)
        scores, true = z[rows].double(), targets[rows]
        if kind == "sigmoid":
            aim = true.reshape(scores.shape).double() * (1 - spread) + spread / 2
            total += float(((torch.sigmoid(b * scores) - aim) * scores).mean(1).sum())
        else:
            own = scores.gather(1, true.long()[:, None]).squeeze(1)
            aim = own * (1 - spread) + scores.mean(1) * spread
            total += float(((F.softmax(b * scores, 1) * scores).sum(1) - aim).sum())
    return total
