import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from presize.core.errors import ExportError
from presize.deploy.exporting.compare import Agreement, agreement, in_batches, refuse_other

NAMES = ["a.png", "b.png", "c.png"]
TOLD = torch.tensor([[0.7, 0.3], [0.4, 0.6], [0.50001, 0.49999]])


def test_the_same_is_the_same():
    found = agreement(TOLD, TOLD, NAMES, "classification", tie=0.0)
    assert (found.pictures, found.same, found.largest, found.differs) == (3, 3, 0.0, None)
    assert str(found).startswith("same answer for 3 of 3 (100 %), largest difference 0")


def test_another_class_is_told_with_its_picture():
    got = TOLD.clone()
    got[1] = torch.tensor([0.55, 0.45])
    found = agreement(TOLD, got, NAMES, "classification", tie=1e-4)
    assert (found.same, found.differs, found.where) == (2, "b.png", "b.png")
    assert found.largest == pytest.approx(0.15)
    with pytest.raises(ExportError) as caught:
        refuse_other(found, 1e-4, "One and the other", "Mend it.")
    assert str(caught.value) == (
        "One and the other do not agree, so nothing was written: for b.png a probability differs "
        "by 0.15, where 0.0001 is let through, and it gets another answer (2 of 3 pictures have "
        "the same answer). Mend it."
    )


def test_a_tie_within_the_tolerance_is_no_other_answer():
    got = TOLD.clone()
    got[2] = torch.tensor([0.49999, 0.50001])
    assert agreement(TOLD, got, NAMES, "classification", tie=1e-4).same == 3
    assert agreement(TOLD, got, NAMES, "classification", tie=0.0).same == 2


def test_no_number_is_never_the_same():
    got = TOLD.clone()
    got[0, 1] = torch.nan
    found = agreement(TOLD, got, NAMES, "classification", tie=1.0)
    assert (found.same, found.where) == (2, "a.png")
    with pytest.raises(
        ExportError,
        match=r"for a.png a probability is no number, and it gets another answer \(2 of 3",
    ):
        refuse_other(found, 1.0, "One and the other", "Mend it.")
    json.dumps(found.to_dict())


def test_labels_and_values_have_their_own_sameness():
    several = torch.tensor([[0.9, 0.1, 0.8], [0.2, 0.7, 0.4], [0.5, 0.5, 0.5]])
    got = several.clone()
    got[0, 2] = 0.4
    assert agreement(several, got, NAMES, "multilabel", tie=1e-3).same == 2
    got = torch.tensor([100.0, 2.0, 3.0])
    assert (
        agreement(torch.tensor([100.01, 2.0, 3.01]), got, NAMES, "regression", tie=1e-3).same == 2
    )


def test_answers_of_another_shape_are_a_fault():
    with pytest.raises(ExportError, match=r"\[3, 1\] where the model gives \[3, 2\]"):
        agreement(TOLD, TOLD[:, :1], NAMES, "classification", tie=0.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(2, 5), st.integers(0, 10_000))
def test_it_counts_as_numpy_does(n, classes, seed):
    rng = np.random.default_rng(seed)
    one, other = rng.dirichlet(np.ones(classes), (2, n))
    found = agreement(
        torch.tensor(one), torch.tensor(other), list(map(str, range(n))), "classification", tie=0.0
    )
    assert found.same == int((one.argmax(1) == other.argmax(1)).sum())
    assert found.largest == pytest.approx(np.abs(one - other).max())


@given(st.integers(1, 40))
def test_batches_of_all_sizes_lose_nothing(n):
    x = torch.arange(n)[:, None]
    sizes = []

    def run(batch):
        sizes.append(len(batch))
        return batch * 2

    assert torch.equal(in_batches(run, x), x * 2)
    assert sizes[0] == 1 and max(sizes) <= 8


def test_nothing_compared_is_full_agreement():
    assert Agreement(0, 0, 0.0).share == 1.0
