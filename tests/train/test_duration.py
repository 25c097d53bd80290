"""Lengths of time as people write them."""

import pytest

from presize.train import duration
from presize.train.duration import TimeLeft, duration_text, in_seconds


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (90, 90.0),
        (0.5, 0.5),
        ("90", 90.0),
        ("90s", 90.0),
        ("90 sec", 90.0),
        ("20m", 1200.0),
        ("20 min", 1200.0),
        ("1h30m", 5400.0),
        ("1H 30M", 5400.0),
        ("1.5h", 5400.0),
        (" 2d 1h ", 176400.0),
        ("1m30s", 90.0),
    ],
)
def test_what_people_write(written: float | str, seconds: float) -> None:
    assert in_seconds(written) == seconds


@pytest.mark.parametrize("written", ["", "soon", "20 parsecs", "m20", "1h-3m", "1h 30", "-5s"])
def test_text_that_is_no_time(written: str) -> None:
    with pytest.raises(ValueError, match=r'max_time is .* "90s", "20m" or "1h30m", but got'):
        in_seconds(written)


def test_a_unit_that_comes_twice() -> None:
    with pytest.raises(ValueError, match="each unit once, but got '1m20min'"):
        in_seconds("1m20min")


@pytest.mark.parametrize("written", [0, -3, "0s", float("inf"), float("nan")])
def test_lengths_that_no_fit_can_take(written: float | str) -> None:
    with pytest.raises(ValueError, match="above 0 and finite, but got"):
        in_seconds(written)


@pytest.mark.parametrize("written", [None, True, [20], (1, 30)])
def test_what_is_neither_number_nor_text(written: object) -> None:
    with pytest.raises(TypeError, match="budget is a number of seconds, or text such as"):
        in_seconds(written, "budget")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.42, "0.42s"), (48, "48s"), (1188, "19m48s"), (5400, "1h30m"), (5403, "1h30m")),
        *((3600, "1h"), (90000, "1d1h"), (59.9, "1m")),
    ],
)
def test_shown_for_people(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize("seconds", [45, 600, 5400, 176400])
def test_what_is_shown_can_be_written(seconds: int) -> None:
    assert in_seconds(duration_text(seconds)) == seconds


def test_time_that_fits_share(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(duration, "perf_counter", lambda: clock[0])
    limit = TimeLeft("60s")
    assert limit.share(1, 3) == 15.0
    clock[0] += 10
    assert limit.left() == 50.0
    assert limit.left(earlier=20.0) == 30.0
    clock[0] += 1000
    assert limit.left() == 0.6


def test_no_limit_has_no_parts() -> None:
    limit = TimeLeft(None)
    assert (limit.share(1, 1), limit.left(), limit.left(5.0)) == (None, None, None)
