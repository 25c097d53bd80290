"""Moves the files that decisions are about, so that the folder itself is clean; or back again.

Nothing is deleted and nothing overwritten: what is dropped goes to a folder beside the data, what
is relabelled into the folder of its class. Before the first file moves, all moves are written into
a journal. Which of them are done is seen from where the files are, so that a run that is killed at
any point can be finished by another, or undone. See `presize.data.journal`.
"""

import os
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

from presize.core.errors import DataError
from presize.data.decisions import Decisions
from presize.data.filenames import AnyPath, whole
from presize.data.journal import Journal, Move, journals, new_journal
from presize.data.movingplan import plan_moves
from presize.data.rewriting import folder_to_disk

Left = list[tuple[str, str]]


@dataclass(frozen=True)
class Moved:
    """What became of the files.

    Args:
        moved: the moves that were made, or taken back.
        left: files that stay where they are, each with the reason.
        resumed: a run that had been broken off was finished.
    """

    moved: Sequence[Move]
    left: Sequence[tuple[str, str]]
    resumed: bool = False


def dropped_folder(root: AnyPath, dropped: AnyPath | None = None) -> pathlib.Path:
    """Return the folder for what is dropped: by default the one beside the data, `NAME-dropped`.

    Raises:
        DataError: there is no folder `root`, the other is inside of it, or on another disk, where
            files cannot be moved without copying them.
    """
    top = pathlib.Path(whole(root))
    if not top.is_dir():
        raise DataError(f"There is no folder `{root}` whose files could be moved.")
    made = pathlib.Path(whole(dropped)) if dropped else top.with_name(f"{top.name}-dropped")
    if made.resolve().is_relative_to(top.resolve()):
        raise DataError(
            f"`{made}` is inside of the data, `{top}`, where what is dropped would be found again. "
            "Name a folder beside it."
        )
    there = next(folder for folder in (made, *made.parents) if folder.is_dir())
    if there.stat().st_dev != top.stat().st_dev:
        raise DataError(
            f"`{made}` is on another disk than the data, `{top}`: files are moved, not copied. "
            "Name a folder on the same disk for what is dropped."
        )
    return made


def apply_decisions(decisions: Decisions, root: AnyPath, dropped: AnyPath | None = None) -> Moved:
    """Move the files that are dropped or relabelled, and take these decisions out of the CSV.

    Dropped files go to `dropped`, by default the folder `ROOT-dropped` beside `root`, and keep
    their place in it. Relabelled ones go into the folder of their class, where folders are the
    labels. A name that is taken gets a number. `undo_moves` takes it all back.

    Args:
        decisions: which files.
        root: the folder of the data.
        dropped: where to.

    Raises:
        DataError: see `dropped_folder`; or taking back has been begun and not ended.
        OSError: the journal or the CSV cannot be written. What is done so far is in the journal:
            call it again to go on, or `undo_moves`.
    """
    top, aside = pathlib.Path(whole(root)), dropped_folder(root, dropped)
    moved: list[Move] = []
    left: Left = []
    open_ones = [journal for journal in journals(top, aside) if journal.state != "done"]
    for journal in open_ones:
        if journal.state == "undoing":
            raise DataError(
                f"Taking back the moves in `{journal.path}` has been begun and not ended: end "
                "that first (--undo, or undo_moves)."
            )
        _finish(journal, decisions, moved, left)
    moves, made, refused = plan_moves(decisions, top, aside)
    left += refused
    if moves:
        journal = new_journal(top, aside, moves, made)
        _finish(journal, decisions, moved, left)
    return Moved(moved, left, resumed=bool(open_ones))


def undo_moves(
    root: AnyPath, decisions: Decisions | None = None, dropped: AnyPath | None = None
) -> Moved:
    """Put all files back that `apply_decisions` has moved, and their decisions into the CSV.

    A file whose old place is taken stays where it is, and in the journal.

    Args:
        root: the folder of the data.
        decisions: the CSV; a decision that was made since then stays. None restores none.
        dropped: see `apply_decisions`.

    Raises:
        DataError: nothing has been moved.
        OSError: the journal or the CSV cannot be written; call it again to go on.
    """
    top, aside = pathlib.Path(whole(root)), dropped_folder(root, dropped)
    found = journals(top, aside)
    if not found:
        raise DataError(f"Nothing of `{top}` has been moved: there is no journal in `{aside}`.")
    moved: list[Move] = []
    left: Left = []
    for journal in reversed(found):
        _take_back(journal, decisions, moved, left)
    return Moved(moved, left)


def _finish(journal: Journal, decisions: Decisions, moved: list[Move], left: Left) -> None:
    """Make the moves of a journal that are not made yet, and close it."""
    done = []
    for move in journal.moves:
        why = _move(journal.at(move.old), journal.at(move.new))
        if why:
            left.append((move.row.file, why))
        else:
            done.append(move)
    _settle(journal, done)
    # A decision that was made since the plan is about the file as it is then: it stays.
    same = [m.row.file for m in done if decisions.of(m.row.file) == m.row]
    if same:
        decisions.forget(*same)
    journal.moves = done
    if done:
        journal.write("done")
    else:
        _close(journal)
    moved += done


def _take_back(
    journal: Journal, decisions: Decisions | None, moved: list[Move], left: Left
) -> None:
    """Put the files of a journal back, and remove it when all are."""
    journal.write("undoing")
    back, kept = [], []
    for move in reversed(journal.moves):
        why = _move(journal.at(move.new), journal.at(move.old))
        if why:
            kept.append(move)
            left.append((journal.shown(move.new), why))
        else:
            back.append(move)
    _settle(journal, back)
    if decisions is not None:
        decisions.put([m.row for m in back if decisions.of(m.row.file) is None])
    journal.moves = kept[::-1]
    if kept:
        journal.write("done")
    else:
        _close(journal)
    moved += back


def _move(old: pathlib.Path, new: pathlib.Path) -> str:
    """Move a file unless that is done; return why it cannot be, or ""."""
    here, there = os.path.lexists(old), os.path.lexists(new)
    if there:
        return f"`{new}` is there already" if here else ""
    if not here:
        return "it is no longer there"
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)
    except OSError as error:  # another disk, a name that is too long, a folder of somebody else
        return f"it cannot be moved to `{new}`: {error.strerror}"
    return ""


def _settle(journal: Journal, moves: Sequence[Move]) -> None:
    """Have the moves on the disk before anything is written that takes them for done."""
    for folder in {journal.at(name).parent for move in moves for name in (move.old, move.new)}:
        folder_to_disk(folder)


def _close(journal: Journal) -> None:
    """Remove a journal, and the folders that were made for its moves, where they are empty."""
    journal.path.unlink()
    for name in reversed(journal.made):
        _remove_if_empty(journal.at(name))


def _remove_if_empty(folder: pathlib.Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # it is not empty, or somebody else has removed it
        return
