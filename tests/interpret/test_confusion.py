import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from presize.interpret.confusion import confusion_counts, most_confused
from presize.interpret.confusion_plot import plot_confusion


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
def test_counts_are_those_of_scikit_learn(pairs):
    targets, decoded = map(torch.tensor, zip(*pairs, strict=True))
    expected = confusion_matrix(targets, decoded, labels=range(5))
    assert np.array_equal(confusion_counts(targets, decoded, 5), expected)


def test_the_most_confused_come_first_and_hits_never():
    counts = np.array([[9, 2, 0], [5, 1, 1], [0, 0, 3]])
    pairs = most_confused(counts, ["a", "b", "c"])
    assert pairs == [("b", "a", 5), ("a", "b", 2), ("b", "c", 1)]
    assert most_confused(counts, ["a", "b", "c"], min_val=2) == pairs[:2]


def test_the_picture_names_classes_and_counts():
    counts = np.array([[9, 2], [5, 1]])
    ax = plot_confusion(counts, ["a", "b"], figsize=(3, 3), dpi=60)
    assert [t.get_text() for t in ax.texts] == ["9", "2", "5", "1"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Predicted", "Actual")
    shares = plot_confusion(counts, ["a", "b"], normalize=True)
    assert [t.get_text() for t in shares.texts] == ["0.82", "0.18", "0.83", "0.17"]


def test_many_classes_show_only_what_was_counted():
    counts = np.eye(20, dtype=int) * 3
    assert len(plot_confusion(counts, list(range(20))).texts) == 20
