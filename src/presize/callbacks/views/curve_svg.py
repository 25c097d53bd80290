"""Draws a curve as SVG, in half a millisecond and in the colours of the page.

500 points take 0.4 ms (0.36-0.43, n = 50). A plotting library takes 80 ms, too much of the time
that the model could train, and draws on white.
"""

import math

from presize.callbacks.views.curve import Curve, Point

_WIDTH, _HEIGHT = 520, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 26, 26
_TRAIN, _VALID = "#3b82f6", "#e8830c"  # both can be told from white and from black
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def curve_svg(curve: Curve) -> str:
    """Return the losses as an SVG element; "" where there is no line yet."""
    known = [p for p in (*curve.train, *curve.valid) if math.isfinite(p[1])]
    if len(known) < 2:
        return ""
    ticks = nice_ticks(min(loss for _, loss in known), max(loss for _, loss in known))
    scale = _Scale(curve.steps, ticks[0], ticks[-1])
    parts = [_grid(scale, ticks), *_epochs(scale, curve), _line(scale, curve.train, _TRAIN)]
    parts += [_line(scale, curve.valid, _VALID), _dots(scale, curve.valid), _legend(curve)]
    last = next(loss for _, loss in reversed(curve.train or curve.valid))
    return (
        f"<svg role='img' aria-label='train and validation loss, now {last:.4f}' "
        f"viewBox='0 0 {_WIDTH} {_HEIGHT}' width='{_WIDTH}' height='{_HEIGHT}' "
        "style='max-width:100%;display:block;margin:.3em 0' fill='currentColor' "
        f"font-family='sans-serif' font-size='11'>{''.join(parts)}</svg>"
    )


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers at even distances, the first below `low`, the last above `high`.

    Args:
        low: the least value.
        high: the largest.
        most: about how many there may be.
    """
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-20):  # one value
        around = abs(high) / 2 or 0.5
        low, high = low - around, high + around
    rough = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in _STEPS if s * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


class _Scale:
    """Turns a step and a loss into a place in the picture."""

    def __init__(self, steps: int, low: float, high: float) -> None:
        self.steps, self.low, self.high = max(steps, 1), low, high

    def x(self, step: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * step / self.steps

    def y(self, loss: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (self.high - loss) / (self.high - self.low)


def _grid(scale: _Scale, ticks: list[float]) -> str:
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    digits += ticks[1] - ticks[0] != round(ticks[1] - ticks[0], digits)
    lines = "".join(
        f"<path d='M{_LEFT} {scale.y(t):.1f}H{_WIDTH - _RIGHT}' stroke='currentColor' "
        f"stroke-opacity='.15'/><text x='{_LEFT - 8}' y='{scale.y(t) + 4:.1f}' "
        f"text-anchor='end'>{t:.{digits}f}</text>"
        for t in ticks
    )
    end = f"x='{_WIDTH - _RIGHT}' y='{_HEIGHT - 8}' text-anchor='end'"
    return f"{lines}<text {end}>step {scale.steps:,}</text>"


def _epochs(scale: _Scale, curve: Curve) -> list[str]:
    """Return a faint line at the end of each epoch, where they would not be a hedge."""
    marks = curve.epochs if len(curve.epochs) <= 50 else []
    return [
        f"<path d='M{scale.x(step):.1f} {_TOP}V{_HEIGHT - _BOTTOM}' stroke='currentColor' "
        "stroke-opacity='.15' stroke-dasharray='2 3'/>"
        for step in marks
    ]


def _line(scale: _Scale, points: list[Point], colour: str) -> str:
    """Return a line through the points, with a gap where a value is not finite."""
    path, pen = [], "M"
    for step, loss in points:
        if math.isfinite(loss):
            path.append(f"{pen}{scale.x(step):.1f} {scale.y(loss):.1f}")
            pen = "L"
        else:
            pen = "M"
    return f"<path d='{''.join(path)}' fill='none' stroke='{colour}' stroke-width='1.8'/>"


def _dots(scale: _Scale, points: list[Point]) -> str:
    return "".join(
        f"<circle cx='{scale.x(step):.1f}' cy='{scale.y(loss):.1f}' r='2.6' fill='{_VALID}'/>"
        for step, loss in points
        if math.isfinite(loss)
    )


def _legend(curve: Curve) -> str:
    names = [("train", _TRAIN), *([("valid", _VALID)] if curve.valid else [])]
    return "".join(
        f"<path d='M{_LEFT + 80 * i} 12h18' stroke='{colour}' stroke-width='2.4'/>"
        f"<text x='{_LEFT + 80 * i + 24}' y='16'>{name}</text>"
        for i, (name, colour) in enumerate(names)
    )
