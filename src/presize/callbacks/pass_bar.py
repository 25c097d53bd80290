"""A bar over what is no fit with a table of its own: predictions, validation, a search."""

from collections.abc import Iterator
from contextlib import contextmanager
from operator import length_hint
from typing import TYPE_CHECKING

from presize.callbacks.base import Callback
from presize.callbacks.pass_pace import shows_pictures
from presize.callbacks.progress import ProgressCallback
from presize.core.progress import Work, working
from presize.data.loader import DataLoader
from presize.train.microbatches import items_in

if TYPE_CHECKING:
    from presize.learner import Learner


class _PassBar(Callback):
    """Counts the items of the batches; those of a whole batch for each that is to come."""

    order = 70

    def __init__(self, work: Work) -> None:
        self._work = work
        self._done = self._each = 0

    def after_batch(self, learn: "Learner") -> None:
        """Move the bar."""
        n = items_in(learn.xb)
        self._done += n
        self._each = max(self._each, n)
        likely = self._done + (learn.n_iter - learn.iter - 1) * self._each
        self._work.bar.unit = "img" if shows_pictures(learn) else "items"
        # Fewer where the last batch is not full, more than are gone through where it is dropped.
        self._work.at(self._done, min(_items(learn) or likely, likely))


class _StepsBar(Callback):
    """Counts the batches of training, the last one, too, after which another callback ends it."""

    order = -50
    run_valid = False

    def __init__(self, work: Work) -> None:
        self._work = work

    def after_batch(self, learn: "Learner") -> None:
        """Move the bar."""
        self._work.advance()


def _items(learn: "Learner") -> int:
    """Return how many items the pass may have if its loader says so, else 0."""
    dl = learn.dl
    if not isinstance(dl, DataLoader) or dl.sampler is not None or dl.weights is not None:
        return 0
    return length_hint(dl.dataset)


@contextmanager
def pass_bar(learn: "Learner", description: str) -> Iterator[list[Callback]]:
    """Give the callbacks that show how far a pass is, in a `with` block around it.

    They are none inside of `learn.no_bar()` and `learn.no_logging()`.

    Args:
        learn: the learner, with its own callbacks.
        description: what is done, such as "predicting".
    """
    if not is_watched(learn):
        yield []
        return
    with working(description) as work:
        yield [_PassBar(work)]


@contextmanager
def steps_bar(learn: "Learner", description: str, total: int) -> Iterator[list[Callback]]:
    """Give the callbacks that show how far a training is that has no table, such as `lr_find`.

    Args:
        learn: the learner, with its own callbacks.
        description: what is done.
        total: how many batches there are.
    """
    if not is_watched(learn):
        yield []
        return
    with working(description, total) as work:
        yield [_StepsBar(work)]


def is_watched(learn: "Learner") -> bool:
    """Say whether the learner shows what it does: it is not inside of `learn.no_bar()`."""
    return learn.ranks.is_main and any(isinstance(cb, ProgressCallback) for cb in learn.cbs)
