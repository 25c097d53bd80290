"""Means of classes that borrow from each other."""

import pytest
import torch

from presize.train.drift_groups import Groups


def table(apart, n=600, n_classes=12, within=1.0):
    """Return figures of classes whose means are `apart`, some with very few rows."""
    shares = torch.linspace(1, 12, n_classes)
    classes = torch.multinomial(shares, n, replacement=True)
    means = apart * torch.randn(n_classes, 1, dtype=torch.float64)
    return means[classes] + within * torch.randn(n, 1, dtype=torch.float64), classes, means


def test_each_row_is_compared_with_the_others_of_its_class():
    rows, classes, _ = table(2.0, n=60)
    groups = Groups(rows, classes, 12)
    k, overall = float(groups.pull), float(rows.mean())
    for i, residual in enumerate(groups.residuals()[:, 0].tolist()):
        others = rows[(classes == classes[i]) & (torch.arange(60) != i)]
        mean = (float(others.sum()) + k * overall) / (len(others) + k)
        assert residual == pytest.approx(float(rows[i]) - mean)


def test_the_variances_within_and_between_classes_are_found():
    pulls, spreads = [], []
    for _ in range(40):
        rows, classes, _ = table(2.0, within=0.5)
        groups = Groups(rows, classes, 12)
        pulls.append(float(groups.pull)), spreads.append(float(groups.spread))
    assert sum(spreads) / 40 == pytest.approx(0.5, rel=0.02)
    assert sum(1 / p for p in pulls) / 40 == pytest.approx(2.0**2 / 0.5**2, rel=0.25)


def test_classes_that_do_not_differ_are_taken_as_one():
    rows, classes, _ = table(0.0)
    groups = Groups(rows, classes, 12)
    assert float(groups.pull) > 30
    assert (groups.means() - rows.mean()).abs().max() < 0.3


def test_means_lie_nearer_to_the_truth_than_plain_ones():
    ours, plain = 0.0, 0.0
    for _ in range(20):
        rows, classes, means = table(0.5, n=60)
        groups = Groups(rows, classes, 12)
        found = torch.stack([rows[classes == c].mean(0) for c in range(12)]).nan_to_num()
        ours += float((groups.means() - means).square().sum())
        plain += float((found - means).square().sum())
    assert ours < 0.8 * plain


@pytest.mark.parametrize("classes", [torch.zeros(9, dtype=torch.int64), torch.arange(9)])
def test_one_class_and_a_row_for_each_leave_the_mean_of_all(classes):
    rows = torch.randn(9, 2, dtype=torch.float64)
    groups = Groups(rows, classes, 9)
    assert (groups.means() - rows.mean(0)).abs().max() < 1e-4
    assert groups.spread.allclose(rows.std(0, unbiased=False))
    assert groups.residuals().isfinite().all()


def test_rows_count_as_their_class_does_among_new_pictures():
    rows = torch.cat([torch.randn(40, 1) + 9, torch.randn(10, 1)]).double()
    groups = Groups(rows, torch.tensor([0] * 40 + [1] * 10), 3)
    assert float(groups.pull) < 0.1
    weights, _ = groups.weights(torch.tensor([1, 1, 1, 0]))
    assert weights.sum(0).tolist() == pytest.approx([1])
    assert float(weights[40:].sum()) == pytest.approx(0.75, abs=0.01)
    weights, _ = groups.weights(torch.tensor([2]))  # a class that was never seen: all of them
    assert weights[:, 0].tolist() == pytest.approx([1 / 50] * 50)


def test_where_classes_do_not_matter_all_rows_count_alike():
    groups = Groups(torch.ones(50, 1).double(), torch.arange(50) % 3, 3)
    weights, size = groups.weights(torch.tensor([1, 1]))
    assert weights[:, 0].tolist() == pytest.approx([1 / 50] * 50, rel=1e-4)
    assert size.tolist() == pytest.approx([50])


def test_the_size_of_a_comparison_depends_on_the_mix():
    classes = torch.tensor([0] * 100 + [1] * 4)
    rows = torch.stack([torch.randn(104) + 5 * classes, torch.ones(104)], 1).double()
    groups = Groups(rows, classes, 3)
    k = float(groups.pull[0])
    assert groups.weights(classes)[1].tolist() == pytest.approx([104, 104], rel=0.02)
    assert groups.weights(torch.tensor([1, 1, 1]))[1].tolist() == pytest.approx([4 + k, 104])
    assert float(groups.weights(torch.tensor([2]))[1][0]) == pytest.approx(k)
