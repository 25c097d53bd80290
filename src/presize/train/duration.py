"""Lengths of time as people write them: a number of seconds, or "90s", "20m", "1h30m"."""

import math
import re
from time import perf_counter
from typing import TypeAlias

Duration: TypeAlias = float | str
"""Seconds, or text of numbers with their units: "90s", "20m", "1h30m", "1.5h", "2d"."""

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0, "sec": 1.0}
_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_PART = re.compile(rf"({_NUMBER})\s*(d|h|min|m|sec|s)\s*")
_WHOLE = re.compile(rf"\s*(?:{_PART.pattern})+")


def in_seconds(duration: Duration, who: str = "max_time") -> float:
    """Return a length of time in seconds.

    Args:
        duration: a number of seconds, or text of numbers with units (d, h, m or min, s or sec).
        who: what the length is of, for errors.

    Raises:
        ValueError: the text cannot be read, or the length is not above 0 and finite.
        TypeError: it is neither a number nor text.
    """
    wanted = f'{who} is a number of seconds, or text such as "90s", "20m" or "1h30m"'
    if isinstance(duration, bool) or not isinstance(duration, int | float | str):
        raise TypeError(f"{wanted}, but got {duration!r}.")
    seconds = _from_text(duration, wanted) if isinstance(duration, str) else float(duration)
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"{wanted}, and is above 0 and finite, but got {duration!r}.")
    return seconds


def _from_text(text: str, wanted: str) -> float:
    lower = text.lower()
    if re.fullmatch(rf"\s*(?:{_NUMBER})\s*", lower):
        return float(lower)
    if not _WHOLE.fullmatch(lower):
        raise ValueError(f"{wanted}, but got {text!r}.")
    parts = _PART.findall(lower)
    units = [unit[:1] for _, unit in parts]
    if len(set(units)) < len(units):
        raise ValueError(f"{wanted}, each unit once, but got {text!r}.")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


class TimeLeft:
    """A length of time that several fits share, from now on.

    Args:
        duration: as `in_seconds` takes it; None for no limit, of which every part is None.
    """

    def __init__(self, duration: Duration | None) -> None:
        self._seconds = None if duration is None else in_seconds(duration)
        self._start = perf_counter()

    def share(self, part: float, others: float) -> float | None:
        """Return the seconds of a fit that is `part` of `part + others`."""
        return None if self._seconds is None else self._seconds * part / (part + others)

    def left(self, earlier: float = 0.0) -> float | None:
        """Return the seconds that are left; a hundredth of all where they are used up.

        Args:
            earlier: seconds that were used before now began, by a run that was killed.
        """
        if self._seconds is None:
            return None
        used = earlier + perf_counter() - self._start
        return max(self._seconds - used, self._seconds / 100)


def duration_text(seconds: float) -> str:
    """Return a length of time for people: `0.4s`, `48s`, `19m48s`, `1h30m`."""
    if seconds < 10:
        return f"{seconds:.2g}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    shown = [f"{number}{unit}" for number, unit in parts if number]
    return "".join(shown[:2] if days or hours else shown)
