"""What a bar says, wherever it is drawn: a name, how much is done, and some figures."""

from dataclasses import dataclass, field

from presize.core.output import clock, rounded

_UNITS = ("kB", "MB", "GB", "TB")


@dataclass
class Bar:
    """One line: `predicting ━━━━━━━━━ 12/40  530 img/s  0:12 left`.

    Args:
        label: what is being done.
        total: how much there is to do; None if that is not known.
        unit: what is counted; "bytes" are shown as MB and the like.
        done: how much is done.
        figures: what is said behind the count, the most important first: where there is little
            room, the last ones are left out.
    """

    label: str
    total: float | None = None
    unit: str = ""
    done: float = 0.0
    figures: tuple[str, ...] = ()
    _widths: dict[int, int] = field(default_factory=dict, repr=False)

    @property
    def share(self) -> float | None:
        """How much of all is done, 0 to 1; None if that is not known."""
        return None if self.total is None else min(1.0, self.done / self.total if self.total else 1)

    @property
    def count(self) -> str:
        """How much of how much, as wide at the start as at the end; "" if nothing is counted."""
        if self.unit == "bytes":
            return f"{_size(self.done)}{'' if self.total is None else f'/{_size(self.total)}'}"
        if self.total is None:
            return f"{self.done:,.0f}" if self.done else ""
        total = f"{self.total:,.0f}"
        return f"{f'{self.done:,.0f}'.rjust(len(total))}/{total}"

    def steady(self) -> list[str]:
        """Return the figures, each as wide as it ever was, so that a line does not shake."""
        for i, figure in enumerate(self.figures):
            self._widths[i] = max(self._widths.get(i, 0), len(figure))
        return [figure.rjust(self._widths[i]) for i, figure in enumerate(self.figures)]


def pace_figures(rate: float | None, left: float | None, unit: str = "") -> tuple[str, ...]:
    """Return a rate and the time left as figures; what is not known is left out.

    Args:
        rate: how much is done in a second.
        left: seconds.
        unit: what is counted.
    """
    figures = [] if left is None else [f"{clock(left)} left"]
    if rate is not None and unit == "bytes":
        figures.append(f"{_size(rate)}/s")
    elif rate is not None and unit:
        figures.append(f"{rounded(rate)} {unit}/s")
    return tuple(figures)


def _size(count: float) -> str:
    if count < 1000:
        return f"{count:.0f} bytes"
    for name in _UNITS:
        count /= 1000
        if count < 999.5 or name == _UNITS[-1]:
            return f"{count:.1f} {name}"
    raise AssertionError("the last unit takes every count")
