"""Which files decisions move where: planned before anything is touched."""

import os
import pathlib

from presize.data.check.folder import usual_splits
from presize.data.decisionrows import Decision
from presize.data.decisions import Decisions
from presize.data.filenames import below
from presize.data.journal import Move, Place

Refused = list[tuple[str, str]]
_LONGEST = 255  # bytes of a name, on all usual disks
# What Windows does not take in names, `/` everywhere, and `;`, which is between several labels. A
# dot in front would hide the class.
_ODD = set('<>:"/\\|?*;') | {chr(code) for code in range(32)}


def plan_moves(
    decisions: Decisions, root: pathlib.Path, dropped: pathlib.Path
) -> tuple[list[Move], list[Place], Refused]:
    """Return the moves, the folders that they need, and the files that stay, each with the reason.

    Args:
        decisions: names in it are relative to `root`.
        root: the folder of the data.
        dropped: the folder of what is dropped.
    """
    folders = {"data": root, "dropped": dropped}
    tops = {root, *(root / name for name in usual_splits(root))}
    moves: list[Move] = []
    refused: Refused = []
    taken: set[Place] = set()
    for row in decisions.values():
        if row.decision == "keep":
            continue
        name = below(row.file, root)
        why = _refusal(row, name, root, tops)
        if name is None or why:
            refused.append((row.file, why))
            continue
        wanted: Place = ("dropped", name)
        if row.decision == "relabel":
            place = pathlib.PurePosixPath(name)
            if place.parent.name == row.label:
                refused.append((row.file, f"it is in the folder `{row.label}` already"))
                continue
            wanted = ("data", str(place.parent.parent / row.label / place.name))
        new = _free(wanted, folders, taken)
        taken.add(new)
        moves.append(Move(row, ("data", name), new))
    return moves, _missing_folders(moves, folders), refused


def _refusal(row: Decision, name: str | None, root: pathlib.Path, tops: set[pathlib.Path]) -> str:
    """Return why a file is not moved, or ""."""
    if name is None:
        return f"it is not below `{root}`"
    file = root / name
    if not os.path.lexists(file):
        return "it is not there"
    if file.is_dir():
        return "it is a folder"
    if not file.parent.resolve().is_relative_to(root.resolve()):
        return f"a link leads to it, out of `{root}`"
    if row.decision == "drop":
        return ""
    if file.parent in tops or row.given not in ("", file.parent.name):
        return (
            "its label is not the name of its folder; DataBlock(decisions=...) reads the new one "
            "from the CSV"
        )
    label = row.label
    if not _is_folder_name(label):
        return f"`{label}` is no name for a folder of a class"
    if not (file.parent.parent / label).resolve().is_relative_to(root.resolve()):
        return f"the folder `{label}` is a link that leads out of `{root}`"
    return ""


def _is_folder_name(label: str) -> bool:
    odd = _ODD & set(label) or label.startswith(".") or label != label.strip(" .")
    return not odd and len(os.fsencode(label)) <= _LONGEST


def _free(wanted: Place, folders: dict[str, pathlib.Path], taken: set[Place]) -> Place:
    """Return a place that no file has, and none will have: with a number where need be."""
    side, name = wanted
    plain = pathlib.PurePosixPath(name)
    place, number = wanted, 1
    while place in taken or os.path.lexists(folders[side] / place[1]):
        number += 1
        place = (side, str(plain.with_name(f"{plain.stem}-{number}{plain.suffix}")))
    return place


def _missing_folders(moves: list[Move], folders: dict[str, pathlib.Path]) -> list[Place]:
    """Return the folders that the moves need and that are not there, the outer ones first."""
    made: dict[Place, None] = {}
    if not folders["dropped"].exists():
        made[("dropped", ".")] = None
    for move in moves:
        side, name = move.new
        for folder in reversed(pathlib.PurePosixPath(name).parents):
            if not (folders[side] / folder).exists():
                made[(side, str(folder))] = None
    return list(made)
