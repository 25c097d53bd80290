"""How fast work goes on, of its last stretch: what rates and the time left are made of."""

from collections import deque

# What is shown ten times a second follows the last three seconds; slow work more of them.
_LOOKS = 30


class Pace:
    """Follows a count that grows.

    Args:
        now: seconds on any clock, when the work began.
        done: the count then.
    """

    def __init__(self, now: float, done: float = 0.0) -> None:
        self._looks: deque[tuple[float, float]] = deque([(now, done)], maxlen=_LOOKS)

    def look(self, now: float, done: float) -> None:
        """Note how much was done at a moment."""
        self._looks.append((now, done))

    @property
    def rate(self) -> float | None:
        """How much is done in a second; None while nothing can be said."""
        (then, before), (now, done) = self._looks[0], self._looks[-1]
        return (done - before) / (now - then) if now > then and done > before else None

    def left(self, total: float | None) -> float | None:
        """Return the seconds until `total` is reached; None while nothing can be said."""
        rate = self.rate
        if rate is None or total is None:
            return None
        return max(0.0, (total - self._looks[-1][1]) / rate)
