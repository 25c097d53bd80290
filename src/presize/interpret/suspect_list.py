"""Pictures that somebody should look at: what is known of each, and all of them in a list."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, overload

Reason: TypeAlias = Literal["unreadable", "duplicate", "one colour", "label error", "top loss"]
REASONS: tuple[Reason, ...] = ("unreadable", "duplicate", "one colour", "label error", "top loss")
"""In the order in which they are listed."""
MANY = 9
"""Likely labels that are kept of a picture: as many as there are keys for them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspect:
    """One picture to look at.

    Args:
        file: its whole path.
        reasons: why it is listed, the gravest first.
        notes: the same in words, one for each reason.
        score: how suspicious it is, 0..1, 1 for surely wrong.
        given: its label; several have `;` between them; "" if it has none.
        likely: labels that it may have in place of it, with their probability or None, the most
            likely first.
        split: the set that it is in, such as "train".
        group: pictures with the same number show the same; None for one that is there once.
    """

    file: str
    reasons: tuple[Reason, ...]
    notes: tuple[str, ...]
    score: float
    given: str = ""
    likely: tuple[tuple[str, float | None], ...] = ()
    split: str = ""
    group: int | None = None


@dataclass(frozen=True, kw_only=True)
class Suspects(Sequence[Suspect]):
    """The pictures to look at: broken ones, then doubled ones, wrong labels, large losses.

    Args:
        listed: them.
        root: the folder of the data; None if the files have none in common.
        vocab: the labels that there are.
        several: a picture may have several labels.
        n: how many pictures were looked at.
    """

    listed: Sequence[Suspect]
    root: Path | None
    vocab: Sequence[str] = ()
    several: bool = False
    n: int = 0

    def __len__(self) -> int:
        return len(self.listed)

    @overload
    def __getitem__(self, i: int) -> Suspect: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Suspect]: ...
    def __getitem__(self, i: int | slice) -> Suspect | Sequence[Suspect]:
        return self.listed[i]

    def __iter__(self) -> Iterator[Suspect]:
        return iter(self.listed)

    def counts(self) -> dict[Reason, int]:
        """Return how many pictures are listed for each reason; one may have several."""
        found = {reason: sum(reason in s.reasons for s in self) for reason in REASONS}
        return {reason: n for reason, n in found.items() if n}

    def to_frame(self) -> Any:
        """Return a table with a row for each picture."""
        from presize.core.lazy import pd

        rows = [
            (s.file, "; ".join(s.reasons), s.score, s.given, s.likely[0][0] if s.likely else "")
            for s in self
        ]
        return pd.DataFrame(rows, columns=["file", "reasons", "score", "given", "likely"])

    def __repr__(self) -> str:
        parts = [f"{n:,} {reason}" for reason, n in self.counts().items()]
        return f"{len(self):,} of {self.n:,} pictures to look at: {', '.join(parts) or 'none'}"
