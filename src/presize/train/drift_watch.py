"""Looks at what goes through a model, and says when it differs from training."""

from collections import deque
from collections.abc import Sequence
from threading import Lock

import torch
from torch import Tensor

from presize.core.errors import DataError
from presize.train.drift import Drift
from presize.train.drift_reference import DriftReference
from presize.train.drift_seen import Seen
from presize.train.drift_verdict import verdict

WINDOW = 1_000


class DriftWatch:
    """Notes a few figures of each picture, for a verdict on the latest; several threads may use it.

    Pictures themselves are not kept, and no more figures than of `window` pictures.

    Args:
        reference: what is usual.
        vocab: the names of the classes, for words.
        window: a verdict is about so many pictures, the latest.
    """

    def __init__(
        self, reference: DriftReference, vocab: Sequence[object] = (), *, window: int = WINDOW
    ) -> None:
        self.reference, self.vocab, self.window = reference, tuple(map(str, vocab)), window
        self._lock = Lock()
        self._noted: deque[tuple[Tensor, Tensor]] = deque()
        self._n = 0
        self._placed: dict[torch.device, DriftReference] = {}

    def __len__(self) -> int:
        return min(self._n, self.window)

    def observe(
        self, inputs: Tensor, features: Tensor | None, probabilities: Tensor | None
    ) -> None:
        """Note what pictures are like; a GPU is not waited for.

        Args:
            inputs: the pictures as the model sees them, normalised: [n, channels, h, w].
            features: the input of its last layer, [n, d]; None leaves features out.
            probabilities: of the classes, [n, c]; None for a model without them.

        Raises:
            DataError: they are not as the model's own: other channels, features or classes.
        """
        self._check(inputs, features, probabilities)
        if not len(inputs):
            return
        reference = self._on(inputs.device)
        with torch.no_grad():
            seen = Seen.of(
                inputs,
                features,
                probabilities if self._asks_probabilities else None,
                pixels=reference.pixels,
                one_class=reference.facts.n_classes is not None,
            )
            rows = reference.rows(seen)
        with self._lock:
            self._noted.append((rows[-self.window :], seen.classes[-self.window :]))
            self._n += len(self._noted[-1][0])
            while self._n - len(self._noted[0][0]) >= self.window:
                self._n -= len(self._noted.popleft()[0])

    def verdict(self) -> Drift:
        """Return whether the pictures noted last differ from those of training."""
        with self._lock:
            noted = list(self._noted)
        if not noted:
            return Drift(drifted=False, n=0)
        rows = torch.cat([rows.cpu() for rows, _ in noted])[-self.window :]
        classes = torch.cat([classes.cpu() for _, classes in noted])[-self.window :]
        # Pictures that gave no finite numbers cannot be compared; figures nobody looked at may.
        sound = ~(rows.isinf() | (rows.isnan() & ~rows.isnan().all(0))).any(1)
        return verdict(self.reference, rows[sound], classes[sound], self.vocab)

    def clear(self) -> None:
        """Forget what was noted: the next verdict is about what comes from here on."""
        with self._lock:
            self._noted.clear()
            self._n = 0

    @property
    def _asks_probabilities(self) -> bool:
        facts = self.reference.facts
        return facts.confidence or facts.n_classes is not None

    def _on(self, device: torch.device) -> DriftReference:
        if device not in self._placed:
            self._placed[device] = self.reference.to(device)
        return self._placed[device]

    def _check(self, inputs: Tensor, features: Tensor | None, probabilities: Tensor | None) -> None:
        reference = self.reference
        d, c = len(reference.centre), reference.facts.n_classes
        wanted = f"pictures [n, {reference.facts.channels}, h, w]"
        fits = inputs.ndim == 4 and inputs.shape[1] == reference.facts.channels
        if fits and features is not None and d:
            wanted, fits = f"features [n, {d}]", features.shape == (len(inputs), d)
        if fits and probabilities is not None and c is not None:
            wanted, fits = f"probabilities [n, {c}]", probabilities.shape == (len(inputs), c)
        if not fits:
            shapes = [
                None if t is None else list(t.shape) for t in (inputs, features, probabilities)
            ]
            raise DataError(
                f"This watch for drift wants {wanted}, but got pictures {shapes[0]}, features "
                f"{shapes[1]}, probabilities {shapes[2]}. It belongs to one model file: make "
                "another for another model."
            )
