"""The journal of moved files: written before the first one moves, kept until all are back.

Places are written as ("data", name) or ("dropped", name), relative to the two folders, which may
both have been moved elsewhere when the files are put back.
"""

import json
import pathlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, cast, get_args

from presize.core.errors import DataError
from presize.data.decisionrows import Decision, checked
from presize.data.rewriting import rewrite

Side: TypeAlias = Literal["data", "dropped"]
Place: TypeAlias = tuple[Side, str]
State: TypeAlias = Literal["moving", "done", "undoing"]
_NAME = re.compile(r"presize-moves-(\d+)\.json")
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Move:
    """One file that moves.

    Args:
        row: the decision that it moves for.
        old: its place before.
        new: its place after.
    """

    row: Decision
    old: Place
    new: Place


class Journal:
    """The moves that were made at one time, in the file `path`.

    Args:
        path: the file.
        data: the folder of the data.
        dropped: the folder of what is dropped.
        moves: in the order in which they are made.
        made: the folders that did not exist before, the outer ones first.
        state: "moving" until all are made, "undoing" while they are taken back.
    """

    def __init__(
        self,
        path: pathlib.Path,
        data: pathlib.Path,
        dropped: pathlib.Path,
        moves: Sequence[Move],
        made: Sequence[Place],
        state: State = "moving",
    ) -> None:
        self.path, self.moves, self.made = path, list(moves), list(made)
        self.state: State = state
        self._folders: dict[Side, pathlib.Path] = {"data": data, "dropped": dropped}

    def at(self, place: Place) -> pathlib.Path:
        """Return the whole path of a place."""
        return self._folders[place[0]] / place[1]

    def shown(self, place: Place) -> str:
        """Return a place as users are told of it."""
        return place[1] if place[0] == "data" else str(self.at(place))

    def write(self, state: State) -> None:
        """Write the journal with a new state."""
        self.state = state
        text = {
            "format": _FORMAT,
            "state": state,
            "made": self.made,
            "moves": [asdict(move) for move in self.moves],
        }
        rewrite(self.path, json.dumps(text, indent=1).encode())


def new_journal(
    data: pathlib.Path, dropped: pathlib.Path, moves: Sequence[Move], made: Sequence[Place]
) -> Journal:
    """Write the journal of moves that are about to be made."""
    numbers = [_number(path) for path in _files(dropped)]
    path = dropped / f"presize-moves-{max(numbers, default=0) + 1}.json"
    journal = Journal(path, data, dropped, moves, made)
    journal.write("moving")
    return journal


def journals(data: pathlib.Path, dropped: pathlib.Path) -> list[Journal]:
    """Return all journals in the folder of what is dropped, the oldest first.

    Raises:
        DataError: one cannot be read.
    """
    return [_read(path, data, dropped) for path in sorted(_files(dropped), key=_number)]


def _files(dropped: pathlib.Path) -> list[pathlib.Path]:
    found = dropped.iterdir() if dropped.is_dir() else ()
    return [path for path in found if _NAME.fullmatch(path.name)]


def _number(path: pathlib.Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else 0


def _read(path: pathlib.Path, data: pathlib.Path, dropped: pathlib.Path) -> Journal:
    try:
        told: dict[str, Any] = json.loads(path.read_bytes())
        if told["format"] != _FORMAT or told["state"] not in get_args(State):
            raise ValueError(f"format {told['format']}, state {told['state']}")
        moves = [
            Move(checked(Decision(**move["row"])), _place(move["old"]), _place(move["new"]))
            for move in told["moves"]
        ]
        return Journal(path, data, dropped, moves, list(map(_place, told["made"])), told["state"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"The journal `{path}` cannot be read ({type(error).__name__}: {error}): it is "
            "damaged, or of a later version. It says where files were moved from; nothing is "
            "moved without it."
        ) from None


def _place(told: Sequence[str]) -> Place:
    """Return a place of a journal, which does not lead out of its folder."""
    side, name = told
    if side not in get_args(Side) or ".." in name.split("/") or name.startswith("/"):
        raise ValueError(f"a place {told}")
    return cast(Side, side), name
