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


def add_cb(learn: "Learner", cb: Callback | type[Callback]) -> "Learner":
    """Add a callback (a class is called)."""
    return add_cbs(learn, [cb])


def add_cbs(learn: "Learner", cbs: Iterable[Callback | type[Callback]]) -> "Learner":
    """Add callbacks (classes are called)."""
    made = [cb() if isinstance(cb, type) else cb for cb in cbs]
    learn.cbs.replace([*learn.cbs, *made])
    for cb in made:
        if isinstance(cb, Recorder):
            learn.recorder = cb
        cb.after_create(learn)
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
    before = list(learn.cbs)
    learn.add_cbs(L(cbs))
    try:
        yield learn
    finally:
        learn.cbs.replace(before)


@contextmanager
def removed_cbs(learn: "Learner", cbs: Iterable[Callback | type[Callback]]) -> Iterator["Learner"]:
    """Do without these callbacks, inside a `with` block."""
    before = list(learn.cbs)
    learn.remove_cbs(cbs)
    try:
        yield learn
    finally:
        learn.cbs.replace(before)


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
