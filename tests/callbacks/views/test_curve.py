import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presize.callbacks.views.curve import Curve, blocks, thinned
from presize.callbacks.views.curve_svg import curve_svg, nice_ticks

numbers = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))


def test_few_values_stay_as_they_are():
    assert thinned([3.0, 4.0], first=6) == [(6.0, 3.0), (7.0, 4.0)]
    assert thinned([]) == []


@given(st.lists(numbers, min_size=1, max_size=700), st.integers(1, 50))
def test_thinning_keeps_the_mean_of_parts_of_about_one_length(values, most):
    points = thinned(values, most=most)
    assert len(points) == min(most, len(values))
    steps = [step for step, _ in points]
    assert steps == sorted(steps) and steps[0] >= 0 and steps[-1] <= len(values) - 1
    assert min(values) - 1e-3 <= min(v for _, v in points)
    assert max(v for _, v in points) <= max(values) + 1e-3


def test_a_line_of_blocks_shows_the_shape():
    assert blocks([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert blocks([5.0, 5.0]) == "▁▁" and blocks([]) == ""
    assert blocks([1.0, math.nan, 0.0]) == "█ ▁"
    assert Curve([(1, 2.0), (2, 1.0)], [], [], 9).as_blocks() == "loss  █▁  1.0000"
    assert Curve([], [], [], 9).as_blocks() == ""


@given(numbers, numbers)
def test_ticks_are_round_and_hold_all_values(a, b):
    low, high = min(a, b), max(a, b)
    ticks = nice_ticks(low, high)
    step = ticks[1] - ticks[0]
    assert ticks[0] <= low + step * 1e-6 and high - step * 1e-6 <= ticks[-1]
    assert 2 <= len(ticks) <= 7
    if high - low > 1e-6 * max(abs(low), abs(high)):
        assert step <= 3 * (high - low) / 4 * 1.01 or len(ticks) <= 3


def test_ticks_of_known_values():
    assert nice_ticks(0.0, 1.0) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert nice_ticks(0.31, 0.69) == pytest.approx([0.3, 0.4, 0.5, 0.6, 0.7])
    assert nice_ticks(2.0, 2.0)[0] < 2.0 < nice_ticks(2.0, 2.0)[-1]


def test_the_picture_is_well_formed_and_has_a_line_for_each_series():
    curve = Curve(
        train=[(step, 1 / step) for step in range(6, 101)],
        valid=[(50, 0.3), (100, math.nan)],
        epochs=[50, 100],
        steps=200,
    )
    root = ElementTree.fromstring(curve_svg(curve))
    assert root.get("role") == "img" and root.get("aria-label", "").endswith("now 0.0100")
    lines = [p.get("d") for p in root.findall("path") if p.get("fill") == "none"]
    assert len(lines) == 2 and lines[0].count("L") == 94
    assert len(root.findall("circle")) == 1  # a loss that is no number has no place
    places = [float(x) for x in re.findall(r"[ML]([\d.]+) ", lines[0])]
    assert 52 < places[0] < places[-1] < 52 + (520 - 64) / 2 + 1
    assert {text.text for text in root.findall("text")} >= {"train", "valid", "step 200"}


def test_nothing_is_drawn_before_there_is_a_line():
    assert curve_svg(Curve([], [], [], 10)) == ""
    assert curve_svg(Curve([(1, 0.5)], [], [], 10)) == ""
    assert curve_svg(Curve([(1, math.nan), (2, math.inf)], [], [], 10)) == ""


def test_many_epochs_are_no_hedge():
    train = [(float(i), 1.0 / (i + 1)) for i in range(100)]
    few, many = (curve_svg(Curve(train, [], list(range(n)), 100)) for n in (50, 51))
    assert few.count("dasharray") == 50 and many.count("dasharray") == 0
