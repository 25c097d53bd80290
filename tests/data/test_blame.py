import pandas as pd
import pytest
import torch

from presize.core.errors import DataError, ImageError
from presize.core.pipeline import Pipeline
from presize.core.transform import Transform
from presize.data.blame import batch_failed, brief, described, item_failed, named_errors
from presize.data.datasets import TfmdLists
from presize.data.loader import DataLoader
from presize.tensors import TensorImage


class Halve(Transform):
    def encodes(self, x: int) -> float:
        return 1 / (x - 3)


def test_an_item_is_named_with_its_transform():
    with pytest.raises(ZeroDivisionError) as caught:
        Pipeline([Halve])(3)
    text = str(item_failed(caught.value, 7, "a.jpg"))
    assert text == (
        "Item 7, 'a.jpg' could not be made into a sample in the transform `Halve`: "
        "ZeroDivisionError: division by zero"
    )


def test_a_batch_is_named_with_its_shapes():
    made = batch_failed(
        RuntimeError("no"), [1, 2, 3, 4, 5], (TensorImage(torch.zeros(5, 3, 2, 2)), 1)
    )
    assert str(made) == (
        "The batch of 5 items (1, 2, 3, 4, ...) could not be made: RuntimeError: no\n"
        "It came in as (TensorImage [5, 3, 2, 2], 1)."
    )


def test_our_own_errors_are_passed_on_with_a_note():
    error = ImageError("`a.jpg` cannot be read")
    assert item_failed(error, 7, None) is error
    assert error.__notes__ == ["This was item 7 of the data set."]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_says_which_item_and_which_transform(num_workers):
    said = "Item 3 could not be made .* transform `Halve`: Zero.*\nIt came in as 3."
    with pytest.raises(DataError, match=said):
        list(DataLoader(range(6), 2, after_item=[Halve], num_workers=num_workers))
    with pytest.raises(
        DataError, match=r"batch of 2 items \(0, 1\).*ValueError: bad\nIt came in as"
    ):
        list(DataLoader(range(6), 2, after_batch=_bad, num_workers=num_workers))


def _bad(batch):
    raise ValueError("bad")


def test_values_are_described_in_one_short_line():
    assert described([torch.zeros(2)] * 9) == "a list of 9, first Tensor [2]"
    assert brief("x" * 999).endswith("...") and len(brief("x" * 999)) == 200
    assert "\n" not in brief("a\nb")


def test_a_row_of_a_table_takes_one_line():
    frame = pd.DataFrame({"name": ["a.jpg"], "label": ["cat"]})
    assert brief(frame.iloc[0]) == "{'name': 'a.jpg', 'label': 'cat'}"


def test_an_error_while_walking_through_items_names_the_item():
    assert list(named_errors(range(3))) == [0, 1, 2]
    halves = TfmdLists([5, 4, 3], Halve)
    with pytest.raises(DataError, match="Item 2, 3 could not be .* transform `Halve`: ZeroDiv"):
        list(named_errors(halves))
    with pytest.raises(DataError, match="Item 0 could not be made"):
        list(named_errors(1 / 0 for _ in range(2)))
