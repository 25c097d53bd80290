import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from presize.core.errors import DataError
from presize.interpret.confusion import confusion_counts
from presize.interpret.per_class import class_figures, class_number, report_text

NAMES = ["a", "b", "c", "d"]
pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


def figures_of(pairs):
    targs, decoded = (torch.tensor(column) for column in zip(*pairs, strict=True))
    losses = torch.arange(1.0, len(targs) + 1)
    return class_figures(confusion_counts(targs, decoded, 4), NAMES, targs, losses), targs, decoded


@given(pairs)
def test_figures_are_those_of_scikit_learn(pairs):
    figures, targs, decoded = figures_of(pairs)
    precision, recall, f1, count = precision_recall_fscore_support(
        targs, decoded, labels=range(4), zero_division=np.nan
    )
    np.testing.assert_allclose([f.precision for f in figures], precision)
    np.testing.assert_allclose([f.recall for f in figures], recall)
    assert [f.count for f in figures] == count.tolist()
    for figure, expected in zip(figures, f1, strict=True):
        # A class that no item has: what was wrongly taken for it stands in `predicted`.
        assert figure.f1 == pytest.approx(expected) if figure.count else math.isnan(figure.f1)
    assert sum(f.predicted for f in figures) == len(targs)


@given(pairs)
def test_losses_and_confusion_of_each_class(pairs):
    figures, targs, decoded = figures_of(pairs)
    losses = torch.arange(1.0, len(targs) + 1)
    for number, figure in enumerate(figures):
        mine = targs == number
        wrong = decoded[mine & (decoded != number)].tolist()
        if mine.any():
            assert figure.mean_loss == pytest.approx(losses[mine].mean().item())
        else:
            assert math.isnan(figure.mean_loss)
        assert figure.confused == max((wrong.count(i) for i in wrong), default=0)
        if wrong:
            assert wrong.count(NAMES.index(figure.most_confused_with)) == figure.confused
        else:
            assert figure.most_confused_with is None


def test_the_table_names_classes_without_pictures_and_does_not_count_them():
    targs, decoded = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1])
    text = report_text(targs, decoded, NAMES, ["c", "d"])
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["a", "b"]
    assert "accuracy" in text
    macro = next(line for line in lines if "macro avg" in line).split()
    assert macro[2:5] == ["0.75", "0.75", "0.67"]
    assert lines[-1] == "No pictures of: c, d"
    many = report_text(targs, decoded, list(range(20)), list(range(2, 20)))
    assert many.splitlines()[-1] == "No pictures of: 2, 3, 4, 5, 6, 7, 8, 9 and 10 more"


def test_classes_are_found_by_name_or_number():
    assert (
        class_number("b", NAMES) == class_number(1, NAMES) == class_number(torch.tensor(1), NAMES)
    )
    assert class_number(3, [3, 1]) == 0  # a name goes before a number
    with pytest.raises(DataError, match=r"no class 'bb'\. Did you mean `b`"):
        class_number("bb", NAMES)
    with pytest.raises(DataError, match="no class 4"):
        class_number(4, NAMES)
