import pytest
from hypothesis import given
from hypothesis import strategies as st

from presize.core.bar import Bar, pace_figures
from presize.core.output import clock, rounded
from presize.core.pace import Pace


def test_a_count_is_as_wide_at_the_start_as_at_the_end():
    assert Bar("x", 1200, done=7).count == "    7/1,200"
    assert Bar("x", 1200, done=1200).count == "1,200/1,200"
    assert Bar("x").count == "" and Bar("x", done=1234).count == "1,234"


def test_bytes_are_shown_as_people_say_them():
    assert Bar("x", 81_170_000, "bytes", 120).count == "120 bytes/81.2 MB"
    assert Bar("x", None, "bytes", 999_949).count == "1.0 MB"
    assert Bar("x", None, "bytes", 5e15).count == "5000.0 TB"


def test_nothing_to_do_is_all_done():
    assert Bar("x", 0).share == 1.0 and Bar("x").share is None
    assert Bar("x", 4, done=5).share == 1.0


def test_figures_never_get_narrower():
    bar = Bar("x", figures=("1,000 img/s",))
    assert bar.steady() == ["1,000 img/s"]
    bar.figures = ("9 img/s", "new")
    assert bar.steady() == ["    9 img/s", "new"]


def test_what_is_not_known_is_left_out():
    assert pace_figures(None, None, "img") == ()
    assert pace_figures(2.0, None) == ()
    assert pace_figures(1234.0, 61.0, "img") == ("1:01 left", "1,230 img/s")
    assert pace_figures(2e6, None, "bytes") == ("2.0 MB/s",)


@given(st.integers(0, 10**6))
def test_a_clock_tells_all_seconds(seconds):
    parts = [int(part) for part in clock(seconds).split(":")]
    assert sum(part * 60**i for i, part in enumerate(reversed(parts))) == seconds


def test_rates_have_about_three_digits():
    assert [rounded(v) for v in (0.123, 9.96, 12.4, 12345.0)] == ["0.1", "10.0", "12", "12,300"]


def test_a_pace_is_that_of_the_last_stretch():
    pace = Pace(0.0)
    assert pace.rate is None and pace.left(10) is None
    for i in range(1, 101):
        pace.look(i * 0.1, i if i < 50 else 50 + (i - 50) * 4)
    assert pace.rate == pytest.approx(40.0)
    assert pace.left(650) == pytest.approx(10.0)
    assert pace.left(None) is None and pace.left(100) == 0.0
