"""What is noted of each picture that goes through a model, to notice drift."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from presize.train.drift_looks import measure_looks

_SURE = 1e-4  # log-odds of probabilities nearer to 0 or 1 are those of this


@dataclass(frozen=True, slots=True)
class Seen:
    """Pictures as a model saw them, a row for each.

    Args:
        looks: see `measure_looks`, float32 [n, k].
        features: the input of the last layer, float32 [n, d]; None where nobody looked.
        confidence: the log-odds of the highest probability, or the mean over several labels,
            float32 [n]; None for a model without probabilities.
        classes: the predicted class of each, int64 [n]; 0 where there is not one class a picture.
    """

    looks: Tensor
    features: Tensor | None
    confidence: Tensor | None
    classes: Tensor

    @classmethod
    def of(
        cls,
        inputs: Tensor,
        features: Tensor | None,
        probabilities: Tensor | None,
        *,
        pixels: Tensor,
        one_class: bool,
    ) -> Self:
        """Return what is noted of a batch, on its device, which is not waited for.

        Args:
            inputs: as the model sees them, float [n, channels, h, w].
            features: of the same pictures, [n, d].
            probabilities: [n, classes], or None.
            pixels: mean and deviation by which the inputs were normalised, float32 [2, channels].
            one_class: each picture is of one class.
        """
        classes = torch.zeros(len(inputs), dtype=torch.int64, device=inputs.device)
        confidence = None
        if probabilities is not None:
            p = probabilities.detach().float()
            top = p.max(1) if one_class else None
            if top is not None:
                classes = top.indices
            sure = torch.maximum(p, 1 - p).mean(1) if top is None else top.values
            confidence = torch.logit(sure.clamp(_SURE, 1 - _SURE))
        mean, std = pixels.to(inputs.device)
        return cls(
            looks=measure_looks(inputs, mean, std),
            features=None if features is None else features.detach().float(),
            confidence=confidence,
            classes=classes,
        )

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """Return the rows of several batches, on the CPU."""

        def all_of(values: list[Tensor | None]) -> Tensor | None:
            known = [v.cpu() for v in values if v is not None]
            return torch.cat(known) if len(known) == len(parts) else None

        looks = all_of([p.looks for p in parts])
        classes = all_of([p.classes for p in parts])
        assert looks is not None and classes is not None
        return cls(
            looks=looks,
            features=all_of([p.features for p in parts]),
            confidence=all_of([p.confidence for p in parts]),
            classes=classes,
        )
