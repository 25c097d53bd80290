"""`Cleaner`: the page while it is open, from Python's side."""

import os
import threading
import weakref
import webbrowser
from html import escape
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from presize.data.decisions import Decisions
from presize.data.filenames import AnyPath
from presize.data.warned import warn_user
from presize.interpret.clean.board import Board
from presize.interpret.clean.server import CleanServer
from presize.interpret.suspects import Suspects, suspects

if TYPE_CHECKING:
    from presize.data.loaders import DataLoaders
    from presize.interpret.suspected import LabelErrors
    from presize.learner import Learner


class Cleaner:
    """A page of suspect pictures that is open until `stop()`; also usable as a context manager.

    It is served on this machine alone, by a thread of this process. What is decided is in the CSV
    file at once: the page may be closed, reloaded or made anew at any time.

    Args:
        found: the pictures to look at.
        out: the CSV file; decisions that are in it already are shown, and kept.
        port: where the page is served; 0 takes a port that is free.

    Raises:
        DataError: `out` is there and holds something else, or the port is taken.
    """

    def __init__(self, found: Suspects, out: AnyPath = "decisions.csv", *, port: int = 0) -> None:
        self.suspects, self.decisions = found, Decisions(out, root=found.root)
        _warn_of_other_data(self.decisions)
        self._over = threading.Event()
        self.board = Board(found, self.decisions)
        self._server = CleanServer(self.board, port, self._over.set)
        self._server.thread.start()
        # A server without a cleaner, whose name a notebook has given to another, is not reached.
        self._closing = weakref.finalize(self, _close, self._server)

    @property
    def url(self) -> str:
        """The address of the page; it has a token that only this process knows."""
        return self._server.url

    @property
    def running(self) -> bool:
        """Whether the page is still served."""
        return self._closing.alive

    def open(self) -> None:
        """Open the page in the user's browser, if there is one."""
        webbrowser.open(self.url)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the user says "Done" on the page, and stop then.

        Args:
            timeout: seconds after which to go on all the same.

        Returns:
            Whether it was said.
        """
        said = self._over.wait(timeout)
        if said:
            self.stop()
        return said

    def stop(self) -> None:
        """Close the page; the decisions stay in the CSV file."""
        self._closing()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        where = f"open at {self.url}" if self.running else "closed"
        return f"Cleaner: {self.board.summary()}, in {self.decisions.path}; {where}"

    def _repr_html_(self) -> str:
        told = escape(f"{self.board.summary()}, in {self.decisions.path}")
        if not self.running:
            return f"<p>Cleaner: {told}; closed.</p>"
        link = f'<a href="{escape(self.url)}" target="_blank" rel="noopener">Open the page</a>'
        return f"<p>{link} to decide about {len(self.suspects):,} pictures. {told}.</p>"


def clean(
    learn: "Learner | None" = None,
    out: AnyPath = "decisions.csv",
    *,
    data: "DataLoaders | AnyPath | None" = None,
    open_browser: bool = True,
    port: int = 0,
    label_errors: "LabelErrors | bool" = True,
    copies: bool = True,
    top_losses: int = 48,
    train: bool = True,
    root: AnyPath | None = None,
    show: bool = True,
) -> Cleaner:
    """Look for suspect pictures, and open a page on which each is kept, relabelled or dropped.

    Args:
        learn: the learner, whose data is looked at; see `presize.interpret.suspects.suspects` for
            this and what follows from `data` on.
        out: the CSV file of decisions, which `DataBlock(decisions=...)` reads.
        open_browser: open the page; else its address is in `.url`.
        port: where the page is served; 0 takes a port that is free.

    Raises:
        DataError: the pictures are no files, or `out` holds something else.
    """
    Decisions(out)  # before the time that looking takes
    options: dict[str, Any] = {"copies": copies, "top_losses": top_losses, "train": train}
    found = suspects(learn, data, label_errors=label_errors, root=root, show=show, **options)
    cleaner = Cleaner(found, Path(out), port=port)
    if open_browser:
        cleaner.open()
    return cleaner


def _warn_of_other_data(decisions: Decisions) -> None:
    """Warn if the decisions that are there already seem to be about other files."""
    root = decisions.root
    if root is None or not decisions or any(os.path.lexists(root / name) for name in decisions):
        return
    warn_user(
        f"None of the {len(decisions)} decisions in `{decisions.path}` is about a file that is in "
        f"`{root}`. If they are about other data, stop, and give another file for these: out=, or "
        "--out."
    )


def _close(server: CleanServer) -> None:
    server.shutdown()
    server.server_close()
    server.thread.join(timeout=5)
