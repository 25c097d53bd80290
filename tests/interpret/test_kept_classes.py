import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from presize.core.errors import DataError, ModelFileError
from presize.interpret.kept_classes import TOP, ClassRows, check_vocab


@given(st.integers(1, 9), st.integers(2, 12), st.integers(0, 1000))
def test_rows_are_those_of_a_sort(n, c, seed):
    generator = torch.Generator().manual_seed(seed)
    probs = torch.rand(n, c, generator=generator).softmax(1)
    targs = torch.randint(c, (n,), generator=generator)
    decoded = torch.randint(c, (n,), generator=generator)  # whatever a loss decides on
    rows = ClassRows.of(probs, targs, torch.zeros(n), decoded)
    for i in range(n):
        others = [j for j in probs[i].argsort(descending=True).tolist() if j != decoded[i]]
        assert rows.top_classes[i].tolist() == [int(decoded[i]), *others][:TOP]
        assert torch.equal(rows.top_probs[i], probs[i, rows.top_classes[i]])
        assert rows.target_probs[i] == probs[i, targs[i]]


def test_rows_that_do_not_go_together_are_refused():
    rows = ClassRows.of(torch.eye(3), torch.arange(3), torch.zeros(3))
    rows.check(3)
    with pytest.raises(ModelFileError, match="classes up to 2 of 2"):
        rows.check(2)
    with pytest.raises(ModelFileError, match="do not go together"):
        ClassRows(**{**vars(rows), "losses": torch.zeros(4)}).check(3)


def test_the_vocabulary_is_that_of_the_data_else_numbers():
    assert check_vocab(None, None, 3) == [0, 1, 2]
    assert check_vocab(["a", "b"], None, 2) == ["a", "b"]
    assert check_vocab(None, ["a", "b"], 2) == ["a", "b"]
    assert check_vocab(["a"], ["a"], 1, several=True) == ["a"]
    with pytest.raises(DataError, match=r"tells 2 classes apart, but the data has 7: .*and 2 more"):
        check_vocab(list("abcdefg"), None, 2)
