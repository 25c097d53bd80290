"""Curves of functions."""

import numpy as np
import pytest
import torch

from presize.core.lazy import plt
from presize.show import gv, plot_function, subplots


def test_plot_function_draws_what_follows_onto_the_same_axes():
    ax = plot_function(torch.sigmoid, "x", "y", title="Sigmoid", min=-4, max=4)
    assert ax is plt.gca()
    (line,) = ax.lines
    assert line.get_xdata()[[0, -1]].tolist() == [-4, 4]
    assert line.get_ydata() == pytest.approx(1 / (1 + np.exp(-line.get_xdata())), rel=1e-5)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("x", "y", "Sigmoid")
    plt.scatter(-1.5, 0.5, color="red")
    assert len(ax.collections) == 1


def test_plot_function_bears_infinite_values_and_given_axes():
    _, axes = subplots()
    plot_function(torch.log, min=0, max=4, ax=axes[0])
    assert len(axes[0].lines) == 1


def test_plot_function_says_what_it_needs():
    with pytest.raises(
        ValueError, match=r"201 numbers and needs as many back.*returned the shape \[\]"
    ):
        plot_function(lambda x: (x**2).sum())


def test_gv_comes_with_show():
    assert "a -> b" in gv("a -> b").source
