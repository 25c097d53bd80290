"""Pictures of schedules: the lines are the schedules."""

import numpy as np
import pytest

from presize.show import subplots
from presize.train.schedule_plot import plot_schedules
from presize.train.schedules import SchedCos, SchedExp, one_cycle


def test_a_panel_for_each_name() -> None:
    scheds = one_cycle(0.1)
    figure = plot_schedules(scheds, n=11)
    assert [axes.get_ylabel() for axes in figure.axes] == ["lr", "mom"]
    for axes, sched in zip(figure.axes, scheds.values(), strict=True):
        (line,) = axes.lines
        np.testing.assert_allclose(line.get_xdata(), np.linspace(0, 1, 11))
        np.testing.assert_array_equal(line.get_ydata(), [sched(p) for p in line.get_xdata()])


def test_a_line_for_each_layer_group() -> None:
    (axes,) = plot_schedules(SchedExp(np.array([1e-4, 1e-2]), 1e-5), log=True).axes
    assert [line.get_ydata()[0] for line in axes.lines] == [1e-4, 1e-2]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["group 0", "group 1"]
    assert axes.get_yscale() == "log"


def test_an_odd_panel_is_left_empty() -> None:
    names = dict.fromkeys(("lr", "mom", "wd"), SchedCos(1.0, 0.0))
    figure = plot_schedules(names).figure
    assert [one.axison for one in figure.axes] == [True, True, True, False]


def test_panels_can_be_drawn_on_given_axes() -> None:
    _, axes = subplots(1, 2)
    grid = plot_schedules(one_cycle(0.1), ax=axes)
    assert grid == list(axes) and axes[1].get_ylabel() == "mom"
    with pytest.raises(ValueError, match="2 panels are to be drawn"):
        plot_schedules(one_cycle(0.1), ax=axes[0])


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(TypeError, match="`lr` is 0.1"):
        plot_schedules({"lr": 0.1})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="needs a schedule and 2 points or more"):
        plot_schedules({})
    with pytest.raises(ValueError, match="n=1"):
        plot_schedules(SchedCos(1.0, 0.0), n=1)
