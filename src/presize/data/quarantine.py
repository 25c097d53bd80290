"""The quarantine: pictures that cannot be read are listed, and the run goes on without them.

    dls = pets.dataloaders(folder)      # on_bad="replace" is the default
    learn.fit(5)                        # 2 pictures could not be read and were replaced: see ...
    dls.quarantine                      # which, and why

In training another picture of the same class takes the place of a bad one, so that batches stay
full and classes as frequent as they are. In validation nothing does: figures would be wrong if one
picture counted twice. Only pictures are let pass; what fails in a transform is raised.
"""

import math
import threading
import weakref
from collections.abc import Iterable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any

from presize.core.errors import DataError
from presize.data.badlist import BadList, BadPicture
from presize.data.badreads import BadReads, Collected
from presize.data.badreads import OnBad as OnBad
from presize.data.warned import warn_user

if TYPE_CHECKING:
    from presize.data.loader import DataLoader

_SHOWN = 20
# A stream of unknown length is judged by what came of it, but not by a handful.
_LEAST_OF_STREAM = 1000


class Quarantine(BadReads):
    """The list of the pictures that could not be read, which training went on without.

    It yields a `BadPicture` for each, once however often it was met. As soon as one is found it is
    also written to `quarantine.csv`, which so outlives a run that is killed.

    A run stops when more than 5 % of the items are bad. A single one never stops it: of ten it
    would be 10 %, and says nothing about the other nine, where two say that something is wrong.

    Args:
        n_items: how many items there are, those of validation included; None if unknown.
        folder: where `quarantine.csv` is to be; None keeps the list in memory alone.
        limit: the share of bad items, 0 to 1, that is let pass; can be set later as well.
    """

    def __init__(
        self,
        n_items: int | None = None,
        folder: str | PathLike[str] | None = None,
        *,
        limit: float = 0.05,
    ) -> None:
        super().__init__()
        self.n_items, self.limit = n_items, limit
        self._list = None if folder is None else BadList(folder)
        self._lock = threading.Lock()
        self._left_out: weakref.WeakKeyDictionary[DataLoader, dict[int, BadPicture]]
        self._left_out = weakref.WeakKeyDictionary()
        self.clear()

    def clear(self) -> None:
        """Forget what was found, as after the files have been repaired; the file is left alone."""
        with self._lock:
            self._found: dict[Any, BadPicture] = {}
            self._unsaid: list[BadPicture] = []
            # How far the passes over a stream have come, by split and epoch.
            self._reached: dict[tuple[int | None, int], int] = {}

    def note(self, loader: "DataLoader", bad: BadPicture) -> None:
        """Take down a bad picture that `loader` met.

        Raises:
            DataError: there are more than the limit allows; says which, and the ways out.
        """
        with self._lock:
            if bad.done == "left out":
                self._left_out.setdefault(loader, {})[bad.index] = bad
            if not loader.indexed:
                part = bad.split, bad.epoch
                self._reached[part] = max(self._reached.get(part, 0), bad.index + 1)
            if self._found.setdefault(_identity(bad, loader), bad) is bad:
                self._unsaid.append(bad)
                if self._list is not None:
                    self._list.append(bad)
            stop = len(self._found) > self.allowed
        if stop:
            raise DataError(self._too_many())

    @property
    def allowed(self) -> int:
        """How many bad pictures are let pass."""
        n = _LEAST_OF_STREAM if self.n_items is None else self.n_items
        n = max(n, sum(self._reached.values()))
        return max(1, math.floor(n * self.limit + 1e-9))

    @property
    def file(self) -> str | None:
        """Where the list is written; None if it is in memory alone."""
        return None if self._list is None or self._list.problem else str(self._list.path)

    def left_out(self, loader: "DataLoader") -> dict[int, BadPicture]:
        """Return, by index, the items that passes of `loader` left out."""
        with self._lock:
            return dict(sorted(self._left_out.get(loader, {}).items()))

    def report(self) -> None:
        """Warn, in one line, of what was found since the last time; loaders call it after a pass.

        Worker threads say nothing themselves: their words would come out anywhere.
        """
        with self._lock:
            new, self._unsaid = self._unsaid, []
            total = len(self._found)
        if not new:
            return
        done = " or ".join(sorted({bad.done for bad in new}, reverse=True))
        one = len(new) == 1
        in_all = f" ({total} so far)" if total > len(new) else ""
        warn_user(
            f"{len(new)} picture{'' if one else 's'} could not be read and "
            f"{'was' if one else 'were'} {done}{in_all}: see {self._where()}."
        )

    # ---- workers that are processes --------------------------------------------------------

    def for_child(self) -> "Collected":
        """Return what a worker process reads with; it collects what the parent is to `add`."""
        return Collected()

    def add(self, loader: "DataLoader", collected: Iterable[BadPicture]) -> None:
        """Take down what a worker process of `loader` has collected."""
        for bad in collected:
            self.note(loader, bad)

    # ---- the list --------------------------------------------------------------------------

    def __iter__(self) -> Iterator[BadPicture]:
        with self._lock:
            return iter(list(self._found.values()))

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        found = list(self)
        if not found:
            return "Quarantine: all pictures that were asked for could be read"
        of = "" if self.n_items is None else f" of {self.n_items}"
        rows = [(bad.where, bad.part, bad.done, bad.reason) for bad in found[:_SHOWN]]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
        lines = ["  ".join([*map(str.ljust, row[:-1], widths), row[-1]]) for row in rows]
        return "\n".join(
            [
                f"Quarantine: {len(found)}{of} pictures could not be read, see {self._where()}",
                *(f"  {line}" for line in lines),
                *_more(len(found)),
            ]
        )

    def __getstate__(self) -> dict[str, Any]:
        # Locks cannot be copied, and need not be.
        kept = {k: v for k, v in vars(self).items() if not isinstance(v, _NOT_KEPT)}
        return kept | {"_codes": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Quarantine.__init__(self)
        vars(self).update(state)

    @property
    def _name(self) -> str:
        """How a user gets at it: loaders by themselves have no folder."""
        return "dl.quarantine" if self._list is None else "dls.quarantine"

    def _where(self) -> str:
        if self._list is None:
            return f"`{self._name}`"
        if self._list.problem is None:
            return f"`{self._list.path}`"
        return f"`{self._name}` (`{self._list.path}` cannot be written: {self._list.problem})"

    def _too_many(self) -> str:
        found = list(self)
        n = None if self._reached else self.n_items
        share = f" of {n} ({len(found) / n:.1%})" if n else ""
        listed = "\n".join(
            [*(f"  {bad.where}: {bad.reason}" for bad in found[:_SHOWN]), *_more(len(found))]
        )
        return (
            f"{len(found)} pictures{share} cannot be read, and no more than {self.limit:.0%} are "
            f"let pass:\n{listed}\n"
            f"The list is in {self._where()}; `verify_images(files)` finds all that cannot be "
            "read. Repair or remove them and make the loaders anew, or let more pass: "
            f"`{self._name}.limit = 0.2`."
        )


_NOT_KEPT = (type(threading.Lock()), weakref.WeakKeyDictionary)


def _identity(bad: BadPicture, loader: "DataLoader") -> Any:
    """Return what tells bad pictures apart, so that each is listed once."""
    if bad.path is not None or bad.name is not None:
        return bad.path or bad.name
    # A stream may come in another order every time: its numbers mean nothing beyond one pass.
    return (bad.split, bad.index) if loader.indexed else (bad.split, bad.index, bad.epoch)


def _more(n: int) -> list[str]:
    return [f"  and {n - _SHOWN} more"] if n > _SHOWN else []
