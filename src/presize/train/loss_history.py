"""The loss of every step, kept where it was computed and read only when somebody looks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# So many losses are joined into one tensor: on a GPU each takes 512 bytes as long as it is alone.
_CHUNK = 512


class LossHistory:
    """Losses of steps; their running mean that forgets is worked out when it is read.

    Adding one does not wait for the device. The running mean keeps `beta` of the old and takes the
    rest of the new, divided by 1 - beta ** steps so that its start is not drawn towards 0.

    Args:
        beta: the part of the old that is kept, 0..1.

    Raises:
        ValueError: beta is outside of that.
    """

    def __init__(self, beta: float = 0.98) -> None:
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"beta is the part of the old that is kept, 0..1, but got {beta}.")
        self.beta = beta
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._recent: list[Tensor] = []
        self._chunks: list[Tensor] = []  # those that have not been read
        self._own: list[Tensor] = []  # those of this process alone, since the last `gather`
        self._raw: list[float] = []
        self._smooth: list[float] = []
        self._running = 0.0
        self._shared = (0, 0.0)  # how many losses are those of all processes, the mean after them

    def add(self, loss: Tensor) -> None:
        """Take in the loss of a step: one number, or those of the items of a batch."""
        loss = loss.detach()
        self._recent.append(loss if loss.ndim == 0 else loss.float().mean())
        if len(self._recent) >= _CHUNK:
            self._join()

    def __len__(self) -> int:
        return len(self._raw) + sum(map(len, self._chunks)) + len(self._recent)

    @property
    def raw(self) -> list[float]:
        """The loss of each step."""
        self._read()
        return list(self._raw)

    @property
    def smooth(self) -> list[float]:
        """The running mean after each step."""
        self._read()
        return list(self._smooth)

    @property
    def value(self) -> float | None:
        """The running mean now; None before the first step."""
        self._read()
        return self._smooth[-1] if self._smooth else None

    def gather(self, mean: Callable[[Tensor], Tensor]) -> None:
        """Replace the losses since the last call by those of all processes.

        Args:
            mean: returns the mean over the processes of a tensor that each of them has.
        """
        self._join()
        known, self._running = self._shared
        del self._raw[known:], self._smooth[known:]
        # All at once: how they lie in chunks hangs on when each process has read its own.
        self._chunks = [mean(torch.cat(self._own))] if self._own else []
        self._own = []
        self._read()
        self._shared = len(self._raw), self._running

    def state_dict(self) -> dict[str, Any]:
        """Return the losses, for a checkpoint: float32 [steps]."""
        return {"losses": torch.tensor(self.raw, dtype=torch.float32), "shared": self._shared[0]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.reset()
        shared, own = state["losses"][: state["shared"]], state["losses"][state["shared"] :]
        self._chunks = [shared]
        self._read()
        self._shared = len(self._raw), self._running
        self._chunks, self._own = [own], [own]

    def _join(self) -> None:
        if self._recent:
            chunk = torch.stack([loss.float() for loss in self._recent])
            self._chunks.append(chunk)
            self._own.append(chunk)
            self._recent = []

    def _read(self) -> None:
        self._join()
        for chunk in self._chunks:
            for loss in chunk.tolist():
                self._raw.append(loss)
                self._running = self.beta * self._running + (1.0 - self.beta) * loss
                self._smooth.append(self._running / (1.0 - self.beta ** len(self._raw)))
        self._chunks = []
