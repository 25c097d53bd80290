"""Labels that a reader takes for the same: they differ in capitals, white space or Unicode form."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from presize.data.labelcheck import Label


@dataclass(frozen=True, slots=True)
class Namesakes:
    """Labels that look the same, and in what they differ."""

    labels: Sequence[Label]
    differ_in: Sequence[str]


def namesakes(labels: Iterable[Label]) -> list[Namesakes]:
    """Return the groups of labels that a reader takes for the same."""
    found: dict[str, list[Label]] = defaultdict(list)
    # 1 and True are equal in Python, 1 and "1" are not: told apart by how they are written.
    for label in {repr(label): label for label in labels}.values():
        found[_bare(str(label)).casefold()].append(label)
    return [
        Namesakes(
            sorted(same, key=lambda label: (str(label), repr(label))),
            _differences([str(label) for label in same]),
        )
        for same in found.values()
        if len(same) > 1
    ]


def _differences(texts: Sequence[str]) -> list[str]:
    """Return in what the texts differ: what still tells them apart when the rest is undone."""
    still = {
        "capital letters": [_bare(text) for text in texts],
        "white space": [_composed(text).casefold() for text in texts],
        "how accents are stored (Unicode form)": [_tidied(text).casefold() for text in texts],
    }
    found = [name for name, left in still.items() if len(set(left)) > 1]
    return found or ["their type (text and number)"]


def _bare(text: str) -> str:
    """Return a text in its composed form, without invisible signs and needless white space."""
    return _tidied(_composed(text))


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _tidied(text: str) -> str:
    visible = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    return " ".join(visible.split())
