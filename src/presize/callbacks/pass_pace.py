"""How fast a pass over a loader goes: rate, time left, and the share that went by waiting."""

from time import perf_counter
from typing import TYPE_CHECKING, Any

from presize.core.bar import pace_figures
from presize.core.pace import Pace
from presize.data.flow import Flow
from presize.data.loader import DataLoader
from presize.train.microbatches import items_in

if TYPE_CHECKING:
    from presize.learner import Learner


class PassPace:
    """Follows one pass, from its first batch on.

    What comes before, such as workers that start or a model that is compiled, says nothing about
    the rest.

    Args:
        learn: with the first batch of the pass done.
    """

    def __init__(self, learn: "Learner") -> None:
        self.dl: Any = learn.dl
        now = perf_counter()
        self._done = learn.iter + 1
        self._items = 0
        self._batches, self._rate = Pace(now, self._done), Pace(now)

    def figures(self, learn: "Learner", now: float, done: int) -> tuple[str, ...]:
        """Return what is known by now, in words, the most important first.

        Args:
            learn: with a batch done.
            now: seconds, of `perf_counter`.
            done: batches of the pass.
        """
        # All batches but the last one of a pass are of one size.
        self._items += (done - self._done) * items_in(learn.xb) * learn.ranks.world
        self._done = done
        self._batches.look(now, done)
        self._rate.look(now, self._items)
        left = self._batches.left(learn.n_iter)
        flow = self.dl.flow if isinstance(self.dl, DataLoader) else None
        figures = pace_figures(self._rate.rate, left, "img" if shows_pictures(learn) else "items")
        share = None if flow is None or not _measured(learn) else waiting_share(flow)
        return figures if share is None else (*figures, f"waits {100 * share:.0f} %")


def waiting_share(flow: Flow) -> float | None:
    """Return the share of a pass so far that went by waiting for data; None if it is not known.

    The time until the first batch is left out. Of a GPU only what it has come by is counted, so
    that nothing waits for it.
    """
    seconds = flow.seconds - flow.first
    if flow.batches < 3 or seconds <= 0:
        return None
    return min(1.0, max(0.0, (flow.waited_so_far - flow.first) / seconds))


def shows_pictures(learn: "Learner") -> bool:
    """Say whether what is counted are pictures."""
    return bool(learn.xb) and getattr(learn.xb[0], "ndim", 0) == 4


def _measured(learn: "Learner") -> bool:
    """Say whether waiting can be told from computing: other devices compute on unseen."""
    return learn.place.type in ("cpu", "cuda")
