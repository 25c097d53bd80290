"""Which classes belong together: those that are taken for each other."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from presize.interpret.confusion_order import clustered, mixed_up, most_mixed_classes, row_shares


def blocks(sizes):
    """A matrix of classes that are mixed up within groups, in a random order, and their groups."""
    n = sum(sizes)
    group = np.repeat(np.arange(len(sizes)), sizes)
    order = np.random.default_rng(0).permutation(n)
    counts = np.where(group[:, None] == group, 4, 0) + np.eye(n, dtype=int) * 20
    return counts[np.ix_(order, order)], group[order]


def test_classes_that_are_mixed_up_stand_side_by_side():
    counts, group = blocks([5, 3, 2, 1, 1, 1])
    groups = clustered(counts)
    assert [len(one) for one in groups] == [5, 3, 2, 1, 1, 1]  # the most errors first
    assert all(len(set(group[one].tolist())) == 1 for one in groups)
    alone = [one[0] for one in groups[3:]]
    assert alone == sorted(alone)


COUNTS = st.integers(1, 8).flatmap(lambda n: arrays(np.int64, (n, n), elements=st.integers(0, 9)))


@given(COUNTS)
def test_every_class_has_one_place(counts):
    places = [i for group in clustered(counts) for i in group]
    assert sorted(places) == list(range(len(counts)))


@given(COUNTS, st.integers(2, 8))
def test_the_worst_pair_is_always_among_the_chosen(counts, k):
    chosen = most_mixed_classes(counts, k)
    assert len(chosen) <= k and chosen == sorted(set(chosen))
    both = mixed_up(counts)
    if both.any():
        assert both[np.ix_(chosen, chosen)].max() == both.max()
    else:
        assert chosen == []


def test_shares_of_a_class_without_pictures_are_zero():
    assert row_shares(np.array([[3, 1], [0, 0]])).tolist() == [[0.75, 0.25], [0, 0]]
