"""Who takes part in training: the learner's methods that add and remove callbacks."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from presize.callbacks.base import Callback
from presize.callbacks.progress import ProgressCallback
from presize.callbacks.recorder import Recorder
from presize.core.collections import L

if TYPE_CHECKING:
    from presize.learner import Learner


# Of these there is one: two would write the same rows, and show them twice.
_ALONE = (Recorder, ProgressCallback)


def add_cb(learn: "Learner", cb: Callback | type[Callback]) -> "Learner":
    """Add a callback (a class is called)."""
    return add_cbs(learn, [cb])


def add_cbs(learn: "Learner", cbs: Iterable[Callback | type[Callback]]) -> "Learner":
    """Add callbacks (classes are called).

    A Recorder and a ProgressCallback take the place of those that are there. None is added if one
    of them raises in `after_create`.
    """
    made = [cb() if isinstance(cb, type) else cb for cb in cbs]
    recorders = [cb for cb in made if isinstance(cb, Recorder)]
    alone = tuple(kind for kind in _ALONE if any(isinstance(cb, kind) for cb in made))
    before, recorder = list(learn.cbs), learn.recorder
    learn.cbs.replace([*(cb for cb in before if not isinstance(cb, alone)), *made])
    try:
        if recorders:
            learn.recorder = recorders[-1]
        for cb in made:
            cb.after_create(learn)
    except BaseException:
        learn.cbs.replace(before)
        learn.recorder = recorder
        raise
    return learn


def remove_cb(learn: "Learner", cb: Callback | type[Callback]) -> "Learner":
    """Remove a callback: this one, or all of this class."""
    return remove_cbs(learn, [cb])


def remove_cbs(learn: "Learner", cbs: Iterable[Callback | type[Callback]]) -> "Learner":
    """Remove callbacks, given as objects or classes."""
    wanted = list(cbs)
    kinds = tuple(cb for cb in wanted if isinstance(cb, type))
    learn.cbs.replace(
        cb for cb in learn.cbs if not isinstance(cb, kinds) and all(cb is not w for w in wanted)
    )
    return learn


@contextmanager
def added_cbs(learn: "Learner", cbs: Callback | Iterable[Callback] | None) -> Iterator["Learner"]:
    """Have these callbacks as well, inside a `with` block."""
    before, recorder = list(learn.cbs), learn.recorder
    learn.add_cbs(L(cbs))
    with _undone(learn, before, recorder):
        yield learn


@contextmanager
def removed_cbs(learn: "Learner", cbs: Iterable[Callback | type[Callback]]) -> Iterator["Learner"]:
    """Do without these callbacks, inside a `with` block."""
    before, recorder = list(learn.cbs), learn.recorder
    learn.remove_cbs(cbs)
    with _undone(learn, before, recorder):
        yield learn


@contextmanager
def _undone(learn: "Learner", before: list[Callback], recorder: Recorder) -> Iterator[None]:
    """Undo a change at the end of a `with` block; what else is changed inside of it stays.

    Args:
        learn: the learner, with the change made.
        before: its callbacks before that.
        recorder: likewise.
    """
    after = list(learn.cbs)
    # By identity, since a callback may say what is equal to it.
    had, changed = set(map(id, before)), set(map(id, after))
    try:
        yield
    finally:
        now = set(map(id, learn.cbs))
        kept = [cb for cb in before if id(cb) in now or id(cb) not in changed]
        later = [cb for cb in learn.cbs if id(cb) not in had | changed]
        learn.cbs.replace([*kept, *later])
        if id(learn.recorder) in changed - had:
            learn.recorder = recorder


def no_bar(learn: "Learner") -> AbstractContextManager["Learner"]:
    """Show no progress inside a `with` block; the table is printed as plain lists."""
    return learn.removed_cbs([ProgressCallback])


@contextmanager
def no_logging(learn: "Learner") -> Iterator["Learner"]:
    """Show neither table nor bar inside a `with` block."""
    before, learn.logger = learn.logger, silent
    try:
        with learn.no_bar():
            yield learn
    finally:
        learn.logger = before


def silent(cells: list[Any]) -> None:
    """Log nothing."""
