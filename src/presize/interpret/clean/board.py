"""What the page shows and changes: the suspects, the decisions about them, and the way back."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, cast

from presize.core.errors import DataError
from presize.data.decisionrows import Choice, Decision, decided_now
from presize.data.decisions import Decisions
from presize.interpret.page.environment import printable
from presize.interpret.suspects import Suspect, Suspects

Changes = Sequence[Mapping[str, Any]]
_MOST_LABEL = 1000  # characters; more is no label, but a mistake


class Board:
    """The suspects, numbered from 0 as they are listed, and the decisions about them.

    Every change is in the CSV file when a method returns. Methods may be called from several
    threads at once.

    Args:
        suspects: what is to be looked at.
        decisions: the CSV file; what is in it already counts as decided.
    """

    def __init__(self, suspects: Suspects, decisions: Decisions) -> None:
        self.suspects, self.decisions = suspects, decisions
        self._lock = threading.RLock()
        self._past: list[list[tuple[int, Decision | None]]] = []
        labels = [*suspects.vocab, *(label for one in suspects for label, _ in one.likely)]
        self._labels = {_safe(label): label for label in labels}  # as shown: as they are

    def file(self, number: int) -> str:
        """Return the whole path of a suspect's picture.

        Raises:
            IndexError: there is no such suspect.
        """
        if number < 0:
            raise IndexError(number)
        return self.suspects[number].file

    def state(self) -> dict[str, Any]:
        """Return all that the page shows, as JSON takes it.

        Raises:
            DataError: somebody has made the CSV unreadable.
        """
        with self._lock:
            self.decisions.refresh()
            return {
                "title": "" if self.suspects.root is None else _safe(self.suspects.root.name),
                "looked_at": self.suspects.n,
                "out": _safe(str(self.decisions.path)),
                "several": self.suspects.several,
                "vocab": [_safe(label) for label in self.suspects.vocab],
                "reasons": [[reason, n] for reason, n in self.suspects.counts().items()],
                "suspects": [self._told(i, one) for i, one in enumerate(self.suspects)],
                "undo": len(self._past),
            }

    def decide(self, changes: Changes) -> dict[str, Any]:
        """Decide about some suspects at once, which are undone at once as well.

        Args:
            changes: for each `id`, its number; `decision`, or None to take it back; `label`.

        Raises:
            DataError: a decision that makes no sense; nothing is changed.
            IndexError: no such suspect.
            OSError: the CSV cannot be written; nothing is changed.
        """
        with self._lock:
            self.decisions.refresh()  # or undo would not lead back to what another has decided
            rows = {self._number(change): self._row(change) for change in changes}
            before = [(i, self.decisions.of(self.file(i))) for i in rows]
            self._write(rows)
            self._past.append(before)
            return self._answer(list(rows))

    def undo(self) -> dict[str, Any]:
        """Take the last change back; without one, nothing changes."""
        with self._lock:
            if not self._past:
                return self._answer([])
            before = dict(self._past[-1])
            self._write(before)
            self._past.pop()
            return self._answer(list(before))

    def summary(self) -> str:
        """Return how far it is, in words."""
        done = sum(self.decisions.of(one.file) is not None for one in self.suspects)
        counts = ", ".join(f"{n} {choice}" for choice, n in self.decisions.counts().items() if n)
        told = f" ({counts})" if counts else ""
        return f"{done:,} of {len(self.suspects):,} decided{told}"

    def _write(self, rows: Mapping[int, Decision | None]) -> None:
        gone = [self.file(i) for i, row in rows.items() if row is None]
        self.decisions.put([row for row in rows.values() if row is not None], gone)

    def _number(self, change: Mapping[str, Any]) -> int:
        number = change["id"]
        if not isinstance(number, int):
            raise DataError(f"A picture is named by its number, but got {number!r}.")
        self.file(number)
        return number

    def _row(self, change: Mapping[str, Any]) -> Decision | None:
        decision, label = change["decision"], change.get("label") or ""
        if decision is None:
            return None
        if not isinstance(decision, str) or not isinstance(label, str):
            raise DataError("A decision and its label are texts.")
        label = self._labels.get(label, label)
        if len(label) > _MOST_LABEL or any(ord(character) < 32 for character in label):
            raise DataError("A label is one line of text, of 1,000 characters at most.")
        one = self.suspects[change["id"]]
        given, reason = self._given(one), "; ".join(one.reasons)
        return decided_now(one.file, cast(Choice, decision), label, given, reason)

    def _given(self, one: Suspect) -> str:
        """Return the label that the files say.

        Data that was read with these decisions has the new labels already: what was given before
        stands in the CSV, and a change of mind leads back to it.
        """
        row = self.decisions.of(one.file)
        taken_over = row is not None and row.decision == "relabel" and row.label == one.given
        return row.given if row is not None and taken_over else one.given

    def _told(self, number: int, one: Suspect) -> dict[str, Any]:
        given = self._given(one)
        name = self.decisions.key(one.file)
        return {
            "id": number,
            "name": _safe(name),
            "given": _safe(given),
            "likely": [[_safe(label), p] for label, p in one.likely if label != given],
            "reasons": list(one.reasons),
            "notes": [_safe(note) for note in one.notes],
            "split": one.split,
            "group": one.group,
            "readable": "unreadable" not in one.reasons,
            **self._decided(number),
        }

    def _decided(self, number: int) -> dict[str, Any]:
        row = self.decisions.of(self.file(number))
        if row is None:
            return {"decision": None, "label": ""}
        return {"decision": row.decision, "label": _safe(row.label)}

    def _answer(self, numbers: Sequence[int]) -> dict[str, Any]:
        changes = [{"id": number, **self._decided(number)} for number in numbers]
        return {"changes": changes, "undo": len(self._past)}


def _safe(text: str) -> str:
    return printable(text)
