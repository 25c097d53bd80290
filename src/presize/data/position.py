"""Epochs and seeds of a loader, and where its pass is, so that an interrupted run can go on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from presize.core.randomness import default_seed
from presize.data.flow import Flow
from presize.data.warned import warn_user

if TYPE_CHECKING:
    from presize.data.onepass import Pass


class LoaderState(TypedDict):
    """What a loader needs to go on where another one was."""

    epoch: int
    batch: int
    seed: int


class Position:
    """How far a pass is.

    Args:
        once: the pass.
        start: the number of the batch that it begins with.
        flow: counts the batches that it hands out.
    """

    def __init__(self, once: "Pass", start: int, flow: Flow) -> None:
        self.once, self.start, self.flow = once, start, flow

    def state(self) -> LoaderState:
        """Return the place of the next batch; what is made ahead has not been handed out."""
        done = self.flow.batches + self.once.passed_over
        return {"epoch": self.once.epoch, "batch": self.start + done, "seed": self.once.seed}


class Resumable:
    """Counts epochs; can tell where a pass is, and let the next one begin there.

    Args:
        seed: of the order and of all draws; None takes PyTorch's.
    """

    def __init__(self, seed: int | None) -> None:
        self.seed, self.epoch = seed, 0
        self._start = 0  # the number of the batch that the next pass begins with
        self._under_way: Position | None = None

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be that of `epoch`: its order and its draws."""
        if epoch != self.epoch:
            self._start = 0  # else it may be the one that `load_state_dict` has set
        self.epoch, self._under_way = epoch, None

    def current_seed(self) -> int:
        """Return the seed that the next pass uses."""
        return default_seed() if self.seed is None else self.seed

    def state_dict(self) -> LoaderState:
        """Return where the pass under way is: its epoch, the number of its next batch, its seed.

        A pass that was left half way is under way until another begins; between passes it is the
        start of the next one.
        """
        if self._under_way is not None:
            return self._under_way.state()
        return {"epoch": self.epoch, "batch": self._start, "seed": self.current_seed()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next pass go on where another one was, with the same batches to the bit.

        The batches before are not made again. The loader has to be made as the other one was; an
        order that is not ours, such as that of a sampler, has to be the same in every run.

        Args:
            state: what `state_dict` returned.

        Raises:
            ValueError: it is not the state of such a loader.
        """
        known = _checked(state, self._batches_in_pass())
        if self.seed is not None and self.seed != known["seed"]:
            warn_user(
                f"seed={self.seed} is not used any more: the state that is gone on from has the "
                f"seed {known['seed']}."
            )
        self.seed, self.epoch, self._start = known["seed"], known["epoch"], known["batch"]
        self._under_way = None

    def _batches_in_pass(self) -> int | None:
        """Return how many batches a pass has; None if that is not known."""
        raise NotImplementedError


def _checked(state: Mapping[str, Any], length: int | None) -> LoaderState:
    """Return a state that a loader of so many batches can go on from."""
    try:
        known: LoaderState = {name: int(state[name]) for name in LoaderState.__annotations__}  # type: ignore[assignment]
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            "The state of a loader holds numbers named epoch, batch and seed, as dl.state_dict() "
            f"gives them, but got {state!r}."
        ) from None
    if not 0 <= known["batch"] <= (known["batch"] if length is None else length):
        raise ValueError(
            f"The state is that of a pass before its batch {known['batch']}, but a pass of this "
            f"loader has {length} batches. It goes on only with the data, the batch size and the "
            "drop_last that it was made with."
        )
    return known
