import functools

import pytest
import torch
from torch import Tensor, nn

from presize.core.errors import DataError
from presize.core.transform import Transform
from presize.data.datasets import Datasets
from presize.data.loader import DataLoader
from presize.data.loaders import TfmdDL
from presize.data.parcels import as_bytes, from_bytes, packed, unpacked
from presize.tensors import TensorCategory, TensorImage, TensorPoint


def there_and_back(value):
    return from_bytes(as_bytes(value))


def twice(x):
    return x * 2


class Shifted(Transform):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def encodes(self, x: int):
        return x + self.by


class Own(DataLoader):
    def create_item(self, ref):
        return super().create_item(ref) * 100

    def after_item(self, x):
        return x + 1

    def before_batch(self, samples):
        return samples[::-1]


@pytest.mark.parametrize(
    "made",
    [
        torch.arange(6).reshape(2, 3),
        torch.arange(6).reshape(2, 3).t(),
        torch.tensor(3.5),
        torch.empty(0, 3),
        torch.tensor([True, False]),
        torch.randn(2, 2, dtype=torch.bfloat16),
        torch.tensor(1.5, dtype=torch.bfloat16),
        torch.randn(3, dtype=torch.complex64),
        TensorImage(torch.zeros(3, 4, 5, dtype=torch.uint8)),
        TensorCategory(2),
        TensorPoint(torch.randn(4, 2)),
    ],
    ids=lambda t: f"{type(t).__name__}-{t.dtype}-{list(t.shape)}-{t.is_contiguous()}",
)
def test_tensors_keep_kind_numbers_and_shape(made):
    back = there_and_back((made, "with others"))[0]
    assert type(back) is type(made)
    assert (back.dtype, back.shape) == (made.dtype, made.shape)
    assert torch.equal(back.as_subclass(Tensor), made.as_subclass(Tensor))
    back.zero_()  # the memory is its own


def test_tensors_do_not_take_shared_memory():
    content = as_bytes(torch.zeros(1000))
    assert len(content) > 4000  # the numbers themselves, and not the name of a piece of memory


def test_parameters_stay_parameters():
    made = there_and_back(nn.Linear(2, 1))
    assert all(isinstance(p, nn.Parameter) for p in made.parameters())


def test_a_loader_is_sent_without_what_makes_batches():
    dl = Own(
        range(5),
        2,
        before_iter=lambda: None,
        after_batch=lambda b: b,
        collate=lambda samples: samples,
        get_idxs=lambda: [1, 2],
    )
    there = unpacked(packed(dl).content)
    assert type(there) is Own
    assert there.after_item(there.create_item(3)) == 301
    assert there.before_batch is there.after_batch is there.collate is None
    assert "get_idxs" in vars(there)
    assert dl.collate([1]) == [1] and list(dl.get_idxs()) == [1, 2]


def test_transforms_keep_what_they_know():
    dl = TfmdDL(range(5), 2, after_item=[Shifted(5)], split_idx=1, do_setup=False)
    there = unpacked(packed(dl).content)
    assert there.after_item(there.create_item(1)) == 6
    assert there.split_idx == there.after_item.split_idx == 1


def test_what_is_sent_again_differs_only_where_something_changed():
    shift = Shifted(5)
    dl = TfmdDL(range(5), 2, after_item=[shift], do_setup=False)
    before = packed(dl).digest
    list(dl), next(iter(dl)), dl.one_batch()
    assert packed(dl).digest == before
    assert packed(dl.new(after_batch=[twice])).digest == packed(dl.new()).digest
    shift.by = 6
    assert packed(dl).digest != before


@pytest.mark.parametrize(
    ("culprit", "make"),
    [
        ("The transform `<lambda>`", lambda: TfmdDL([1], after_item=[lambda x: x])),
        ("The function `.*<lambda>`", lambda: DataLoader([1], after_item=lambda x: x)),
        ("The transform `Local`", lambda: DataLoader([1], after_item=[local()()])),
        ("The transform `<lambda>`", lambda: TfmdDL(Datasets([1, 2], [[twice], [lambda x: x]]))),
        ("The items of the data set .a L.", lambda: TfmdDL(Datasets([lambda: 1], [[str]]).train)),
        ("The data set .a list.", lambda: DataLoader([lambda: 1])),
        ("The class Within", lambda: inner()([1])),
    ],
)
def test_what_cannot_be_sent_is_named_with_the_ways_out(culprit, make):
    dl = make()
    with pytest.raises(DataError, match=rf"(?s)^{culprit} cannot be sent to a worker.*") as caught:
        packed(dl)
    assert "at the top level of a module" in str(caught.value)
    assert "leave out processes=True" in str(caught.value)


def local():
    class Local(Transform):
        def encodes(self, x: int):
            return x

    return Local


def inner():
    class Within(DataLoader):
        pass

    return Within


def test_partial_functions_of_modules_can_be_sent():
    dl = DataLoader([1], after_item=functools.partial(max, 7))
    assert unpacked(packed(dl).content).after_item(3) == 7


def test_what_cannot_be_imported_there_is_told():
    with pytest.raises(DataError, match=r"(?s)cannot find what the loader is made of.*leave out"):
        unpacked(b"\x80\x04\x8c\x07no_such\x94\x8c\x01f\x94\x93\x94.")
