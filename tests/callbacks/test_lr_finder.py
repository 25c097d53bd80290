import numpy as np
import pytest

from presize.callbacks.lr_finder import minimum, plot_lr_find, steep, suggested, valley
from presize.core.errors import TrainingError

LRS = np.geomspace(1e-6, 10, 100)
# Flat, then a fall that is steepest at 1e-2, lowest at 1e-1, then a rise.
LOSSES = (
    2 - 1.5 / (1 + np.exp(-4 * (np.log10(LRS) + 2))) + 3 * np.clip(np.log10(LRS) + 1, 0, 9) ** 2
)


def test_minimum_is_a_tenth_of_the_best_rate():
    rate, _ = minimum(LRS, LOSSES, 100)
    assert rate == pytest.approx(LRS[LOSSES.argmin()] / 10)


def test_steep_is_where_the_loss_falls_fastest():
    assert steep(LRS, LOSSES, 100)[0] == pytest.approx(1e-2, rel=0.25)


def test_valley_lies_on_the_way_down():
    rate, loss = valley(LRS, LOSSES, 100)
    assert 1e-3 < rate < 1e-1
    assert LOSSES.min() < loss < LOSSES[0]


def test_suggestions_are_a_named_tuple_that_prints_as_a_pair():
    pair, points = suggested(list(LRS), list(LOSSES), 100, [minimum, steep])
    assert pair._fields == ("minimum", "steep")
    assert repr(pair) == repr((pair.minimum, pair.steep))
    assert len(points) == 2


def test_a_diverged_sweep_still_suggests():
    losses = LOSSES.copy()
    losses[90:] = np.nan
    pair, _ = suggested(list(LRS), list(losses), 100, [minimum, steep])
    assert np.isfinite(pair).all()


def test_too_few_finite_losses_say_what_to_try():
    with pytest.raises(TrainingError, match="begin lower"):
        suggested(list(LRS[:5]), [np.nan] * 5, 100, [minimum])


def test_the_plot_marks_the_suggestions():
    pair, points = suggested(list(LRS), list(LOSSES), 100, [minimum, steep])
    ax = plot_lr_find(list(LRS), list(LOSSES), pair, points)
    assert ax.get_xscale() == "log"
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels[0].startswith("minimum: ") and labels[1].startswith("steep: ")
