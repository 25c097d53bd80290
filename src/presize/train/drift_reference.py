"""What pictures were like when a model was made: what drift is measured against.

Three kinds of figures are kept of each picture: how it looks; what the last layer sees of it; how
sure the model is. Looks are those of training and held-out pictures. Features and confidence are
those of held-out pictures alone: a network has seen its training pictures so often that new ones
of the same kind would differ from them. The directions that features are looked at along come from
training pictures, for the same reason.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from presize.core.errors import DataError, ModelFileError
from presize.core.plain import made_of
from presize.train.drift_groups import Groups
from presize.train.drift_looks import looks_for
from presize.train.drift_seen import Seen

FEWEST = 20  # pictures: of fewer nothing is kept
_MOST_DIRECTIONS = 12
_MOST_NUMBERS = 40_000  # of all directions: 160 kB
_MOST_CLASSES = 10_000  # more are not told apart


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftFacts:
    """What a reference was made of.

    Args:
        channels: of the pictures.
        n_looks: how many pictures were looked at.
        n_held_out: how many of them tell of features and confidence, since the model was not
            trained on them; 0 where there were fewer than 20.
        n_classes: each picture is of one of so many classes, and is compared with those of its
            class; None where it is not.
        confidence: the model has probabilities.
    """

    channels: int
    n_looks: int
    n_held_out: int
    n_classes: int | None
    confidence: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class DriftReference:
    """What is usual of the pictures that a model was made with; in a model file, below 300 kB.

    Held-out pictures come first, training pictures after them.

    Args:
        facts: what it was made of.
        pixels: mean and deviation of the normalisation: float32 [2, channels].
        looks: how pictures look, see `measure_looks`: float32 [n_looks, looks].
        rest: what the last layer sees of those held out, and how sure the model is: float32
            [n_held_out, others].
        classes: the predicted class of each picture, int32 [n_looks].
        centre: the mean of features at unit length, float32 [d]; d is 0 without features.
        directions: along which features vary most: float32 [d, r].
    """

    facts: DriftFacts
    pixels: Tensor
    looks: Tensor
    rest: Tensor
    classes: Tensor
    centre: Tensor
    directions: Tensor

    @classmethod
    def fit(
        cls, train: Seen, held_out: Seen | None, *, pixels: Tensor, n_classes: int | None
    ) -> Self:
        """Return what is usual of pictures that a model has seen.

        Args:
            train: pictures that it was trained on.
            held_out: pictures that it was not trained on; None, or fewer than 20, leaves features
                and confidence out, and their looks count all the same.
            pixels: mean and deviation of the normalisation, float32 [2, channels].
            n_classes: how many classes there are, if each picture is of one.

        Raises:
            DataError: fewer than 20 pictures.
        """
        sides = [side for side in (held_out, train) if side is not None]
        looks = torch.cat([side.looks for side in sides])
        if len(looks) < FEWEST:
            raise DataError(
                f"A reference for drift takes {FEWEST} pictures or more, but there are "
                f"{len(looks)}."
            )
        if held_out is not None and len(held_out.looks) < FEWEST:
            held_out = None
        if n_classes is not None and n_classes > _MOST_CLASSES:
            n_classes = None
        centre, directions = torch.zeros(0), torch.zeros(0, 0)
        if held_out is not None and held_out.features is not None and train.features is not None:
            centre, directions = _directions(train.features)
        made = cls(
            facts=DriftFacts(
                channels=pixels.shape[1],
                n_looks=len(looks),
                n_held_out=0 if held_out is None else len(held_out.looks),
                n_classes=n_classes,
                confidence=held_out is not None and held_out.confidence is not None,
            ),
            pixels=pixels.float().cpu(),
            looks=looks,
            rest=torch.zeros(0, 0),
            classes=torch.cat([side.classes for side in sides]).int(),
            centre=centre,
            directions=directions,
        )
        return made if held_out is None else made._with_rest(held_out)

    def _with_rest(self, held_out: Seen) -> Self:
        rest = self.rows(held_out)[:, len(looks_for(self.facts.channels)) :]
        if r := self.directions.shape[1]:
            groups = self.groups(rest[:, : r + 1])
            far = _far(groups.residuals(), groups.spread)
            rest = torch.cat([rest, far[:, None].float()], 1)
        return replace(self, rest=rest)

    @property
    def names(self) -> tuple[str, ...]:
        """The figures of a picture, in their order."""
        looks = tuple(look.name for look in looks_for(self.facts.channels))
        r = self.directions.shape[1]
        features = (*(f"feature {i + 1}" for i in range(r)), "outside", "length") if r else ()
        confidence = ("confidence",) if self.facts.confidence else ()
        return (*looks, *features, *confidence, *(("distance",) if r else ()))

    def groups(self, figures: Tensor) -> Groups:
        """Return figures of the first known pictures by their classes.

        Args:
            figures: [m, s].
        """
        c = self.facts.n_classes
        classes = self.classes[: len(figures)].long()
        return Groups(figures.double(), classes if c else classes * 0, c or 1)

    def rows(self, seen: Seen) -> Tensor:
        """Return the figures of pictures, on their device: float32 [n, s], no distance in it.

        Those that were not looked at are NaN.
        """
        found = [seen.looks]
        if r := self.directions.shape[1]:
            found.append(self._of_features(seen.features, len(seen.looks), r).to(seen.looks.device))
        if self.facts.confidence:
            missing = torch.full_like(seen.looks[:, 0], torch.nan)
            found.append((missing if seen.confidence is None else seen.confidence)[:, None])
        return torch.cat(found, 1)

    def _of_features(self, features: Tensor | None, n: int, r: int) -> Tensor:
        if features is None:
            return torch.full((n, r + 2), torch.nan)
        x = F.normalize(features) - self.centre.to(features.device)
        z = x @ self.directions.to(features.device)
        outside = (x.square().sum(1) - z.square().sum(1)).clamp_min(0).sqrt()
        length = features.norm(dim=1).clamp_min(1e-12).log()
        return torch.cat([z, outside[:, None], length[:, None]], 1)

    def figures(self, rows: Tensor, classes: Tensor) -> Tensor:
        """Return what is compared: the figures of pictures, with their distance: float64 [n, s].

        The distance is how far features are from those of the class, in deviations.

        Args:
            rows: see `rows`, on the CPU.
            classes: the predicted class of each, int64 [n].
        """
        rows, r = rows.double(), self.directions.shape[1]
        if not r:
            return rows
        groups, n_looks = self.groups(self.rest[:, : r + 1]), len(looks_for(self.facts.channels))
        means = groups.means()[classes if self.facts.n_classes else classes * 0]
        far = _far(rows[:, n_looks : n_looks + r + 1] - means, groups.spread)
        return torch.cat([rows, far[:, None]], 1)

    def to(self, device: torch.device) -> Self:
        """Return it on another device, to get the figures of pictures that are there."""
        moved = {name: t.to(device) for name, t in self.tensors().items()}
        return type(self)(facts=self.facts, **moved)

    def tensors(self) -> dict[str, Tensor]:
        """Return what a file needs to hold beside `to_dict`, on the CPU."""
        return {name: getattr(self, name) for name in _tensor_names()}

    def to_dict(self) -> dict[str, Any]:
        """Return the rest as plain values, which JSON can hold."""
        return asdict(self.facts)

    @classmethod
    def read(cls, plain: Mapping[str, Any] | None, tensors: Mapping[str, Tensor]) -> Self | None:
        """Return what `to_dict` and `tensors` told; None of a file without a reference.

        Raises:
            ModelFileError: a value is missing, of another type or shape, or not finite.
        """
        if plain is None or ("without" in plain and not tensors):
            return None
        names = _tensor_names()
        try:
            if set(tensors) != set(names):
                raise ValueError(f"its tensors are {', '.join(sorted(tensors)) or 'missing'}")
            facts = made_of(DriftFacts, plain)
            made = cls(facts=facts, **{name: tensors[name].cpu() for name in names})
            made._check()
        except (TypeError, ValueError) as error:
            raise ModelFileError(
                f"The drift statistics in the model file are not valid: {error}. Export the model "
                "again, or without them: learn.export(path, drift=False)."
            ) from error
        return made

    def _check(self) -> None:
        facts, d = self.facts, len(self.centre) if self.centre.ndim else -1
        if self.directions.ndim != 2:
            raise ValueError(f"the directions are of shape {list(self.directions.shape)}")
        r = self.directions.shape[1]
        m, c = facts.n_looks, facts.n_classes
        fits = 1 <= facts.channels <= 64 and (c is None or 1 <= c <= _MOST_CLASSES)
        if not fits or not 0 <= facts.n_held_out <= m or not FEWEST <= m <= 100_000:
            raise ValueError(f"{facts} is impossible")
        if (r > 0) != (d > 0) or (r > 0 and not facts.n_held_out):
            raise ValueError(f"{d} features in {r} directions, of {facts.n_held_out} pictures")
        n_looks = len(looks_for(facts.channels))
        others = len(self.names) - n_looks
        wanted = {
            "pixels": (torch.float32, (2, facts.channels)),
            "looks": (torch.float32, (m, n_looks)),
            "rest": (torch.float32, (facts.n_held_out, others)),
            "classes": (torch.int32, (m,)),
            "centre": (torch.float32, (d,)),
            "directions": (torch.float32, (d, r)),
        }
        got = {name: (t.dtype, tuple(t.shape)) for name, t in self.tensors().items()}
        if wrong := [name for name in wanted if wanted[name] != got[name]]:
            told = ", ".join(f"`{n}` is {got[n][0]} {list(got[n][1])}" for n in wrong)
            raise ValueError(f"{told}, which does not go with the rest")
        if not all(bool(t.isfinite().all()) for t in self.tensors().values()):
            raise ValueError("some values are not finite")
        if int(self.classes.min()) < 0 or (c is not None and int(self.classes.max()) >= c):
            raise ValueError(f"some pictures are of none of the {c} classes")


def _tensor_names() -> tuple[str, ...]:
    return tuple(f.name for f in fields(DriftReference) if f.name != "facts")


def _far(residuals: Tensor, spread: Tensor) -> Tensor:
    """Return how far figures are from the mean of their class, in deviations: [n]."""
    return (residuals / spread.clamp_min(1e-6)).square().mean(1).sqrt()


def _directions(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of features at unit length, and the directions they vary along most."""
    x = F.normalize(features.double())
    n, d = x.shape
    centre = x.mean(0)
    x = x - centre
    most = max(1, min(_MOST_DIRECTIONS, n - 1, d, _MOST_NUMBERS // d))
    values, axes = torch.linalg.eigh(x.T @ x if d <= n else x @ x.T)
    axes = axes.flip(1)[:, :most]
    if d > n:
        axes = F.normalize(x.T @ axes, dim=0)
    real = values.flip(0)[:most] > (1e-9 * values[-1]).clamp_min(1e-12 * n)
    if not bool(real.any()):  # features that are the same for all
        return torch.zeros(0), torch.zeros(0, 0)
    return centre.float(), axes[:, real].float().contiguous()
