"""Tells when callbacks that write files or follow figures have nothing to do."""

from typing import TYPE_CHECKING

from presize.callbacks.lr_finder import LRFinder

if TYPE_CHECKING:
    from presize.learner import Learner


def looks_for_rate(learn: "Learner") -> bool:
    """Say whether the fit is the mock training of `lr_find`, which leaves no trace."""
    return any(isinstance(cb, LRFinder) for cb in learn.cbs)
