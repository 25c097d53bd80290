import numpy as np
import pytest

from presize.core.errors import DataError
from presize.data.folds import fold_numbers


def test_folds_have_the_same_part_of_every_class():
    classes = np.array([0] * 50 + [1] * 20 + [2] * 5)
    folds = fold_numbers(75, 5, classes=classes)
    for fold in range(5):
        assert np.bincount(classes[folds == fold]).tolist() == [10, 4, 1]


def test_the_seed_says_which_folds_and_they_are_mixed():
    folds = fold_numbers(100, 4, seed=1)
    assert np.bincount(folds).tolist() == [25] * 4
    assert (np.diff(folds) != 0).sum() > 50
    assert (fold_numbers(100, 4, seed=1) == folds).all()
    assert (fold_numbers(100, 4, seed=2) != folds).any()


@pytest.mark.parametrize("classes", [None, np.arange(40) % 2])
def test_a_group_is_in_one_fold(classes):
    groups = [f"person {i // 4}" for i in range(40)]
    folds = fold_numbers(40, 5, classes=classes, groups=groups)
    assert len(set(folds.tolist())) == 5
    for group in set(groups):
        assert len({f for f, g in zip(folds.tolist(), groups, strict=True) if g == group}) == 1


def test_groups_may_be_of_any_kind():
    folds = fold_numbers(4, 2, groups=[None, 1, "a", (2, 3)])
    assert sorted(folds.tolist()) == [0, 0, 1, 1]


def test_a_class_that_groups_keep_in_one_fold_is_told():
    classes = np.array([0] * 20 + [1] * 10)
    groups = [f"person {i // 5}" for i in range(20)] + ["another"] * 10
    with pytest.warns(UserWarning, match=r"All items of a class are in one fold: `owl` \(fold 1\)"):
        folds = fold_numbers(30, 3, classes=classes, names=["ant", "owl"], groups=groups)
    assert set(folds[20:]) == {0}


def test_the_number_of_folds_may_come_from_numpy():
    assert (fold_numbers(10, np.int64(2)) == fold_numbers(10, 2)).all()


@pytest.mark.parametrize("k", [1, 0, -1, 2.0, True, "5"])
def test_the_number_of_folds_is_checked(k):
    with pytest.raises(ValueError, match=r"k is the number of folds, 2 or more, but got"):
        fold_numbers(10, k)


def test_too_few_are_told_apart():
    with pytest.raises(DataError, match=r"There are 3 items for 5 folds"):
        fold_numbers(3, 5)
    with pytest.raises(ValueError, match="one group for each of the 10 items.* got 3 of them"):
        fold_numbers(10, 2, groups=[1, 2, 3])
    with pytest.raises(DataError, match=r"There are 2 groups for 5 folds.*pass k=2 or less"):
        fold_numbers(10, 5, groups=[0, 1] * 5)
    with pytest.raises(DataError, match=r"All items are of one group.*Leave out groups="):
        fold_numbers(10, 5, groups=[0] * 10)


def test_rare_classes_are_named_with_the_ways_out():
    classes = np.array([0] * 50 + [1] * 3 + [2] * 4)
    with pytest.raises(
        DataError, match=r"of 2 there are fewer: `cat` \(3\), `owl` \(4\)\. Ways out: pass k=3, add"
    ):
        fold_numbers(57, 5, classes=classes, names=["ant", "cat", "owl"])
    one = np.array([0] * 9 + [1])
    with pytest.raises(
        DataError, match=r"`1` \(1\)\. Ways out: add items of these.*stratify=False"
    ):
        fold_numbers(10, 5, classes=one)
    many = np.repeat(np.arange(8), 2)
    with pytest.raises(DataError, match=r"of 8 there are fewer: .* and 3 more"):
        fold_numbers(16, 3, classes=many)
