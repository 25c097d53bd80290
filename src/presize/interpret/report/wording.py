"""How figures are written in the report."""

import math


def percent(share: float, digits: int = 1) -> str:
    """Return a share, 0..1, as "92.8 %", which is not broken over lines."""
    return f"{100 * share:.{digits}f}\u00a0%"


def duration(seconds: float) -> str:
    """Return a time in words: "8 s", "12 min 5 s", "3 h 20 min"."""
    if not math.isfinite(seconds):
        return "an unknown time"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left} min" if left else f"{hours} h"
