import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from presize.interpret.kept_columns import Column, Columns


@given(st.lists(st.integers(0, 700), min_size=1, max_size=6))
def test_what_is_added_is_joined_in_order(sizes):
    parts = [torch.randn(size, 2) for size in sizes]
    column = Column()
    for part in parts:
        column.add(part)
    assert torch.equal(column.joined(), torch.cat(parts))
    assert column.n == sum(sizes)


def test_columns_have_names_and_kinds():
    columns = Columns()
    for i in range(3):
        columns.add(a=torch.full((2,), i), b=torch.tensor([[True], [False]]))
    joined = columns.joined()
    assert joined["a"].tolist() == [0, 0, 1, 1, 2, 2] and joined["a"].dtype == torch.int64
    assert joined["b"].shape == (6, 1) and joined["b"].dtype == torch.bool


def test_nothing_was_added():
    with pytest.raises(ValueError, match="no values"):
        Column().joined()


def test_other_shapes_are_refused_and_not_spread():
    column = Column()
    column.add(torch.zeros(2, 3))
    assert column.takes(torch.zeros(9, 3)) and not column.takes(torch.zeros(2, 1))
    with pytest.raises(ValueError, match=r"shape \[1\] do not go below those of shape \[3\]"):
        column.add(torch.zeros(2, 1))


def test_what_was_joined_is_no_part_of_what_grows_on():
    column = Column()
    column.add(torch.zeros(3))
    before = column.joined()
    column.add(torch.ones(3))
    before += 5
    assert column.joined().tolist() == [0, 0, 0, 1, 1, 1]
