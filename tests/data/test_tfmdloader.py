import pickle

import matplotlib.pyplot as plt
import pytest
import torch
from torch import Tensor

from presize.core.foundation import Inf
from presize.core.randomness import draws
from presize.core.transform import RandTransform, Transform
from presize.data.blocks import CategoryBlock, ImageBlock
from presize.data.datablock import DataBlock
from presize.data.datasets import Datasets, TfmdLists
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.resize import Resize
from presize.data.splits import GrandparentSplitter
from presize.data.tensorise import IntToFloatTensor
from presize.data.tfmdloader import TfmdDL
from presize.data.vocab import Categorize
from presize.show.colours import palette
from presize.tensors import TensorCategory, TensorImage, TitledInt


class Neg(Transform):
    def encodes(self, x):
        return torch.neg(x)

    def decodes(self, x):
        return torch.neg(x)


class Shown(Transform):
    def encodes(self, x):
        return x

    def decodes(self, x):
        return TitledInt(x)


class Centre(Transform):
    """Learns from one batch, as a normalisation does."""

    order = 99

    def __init__(self):
        super().__init__()
        self.mean = None

    def setups(self, items):
        x, *_ = items[0]
        self.mean = x.float().mean().item()

    def encodes(self, x: TensorImage):
        return x - self.mean

    def decodes(self, x: TensorImage):
        return x + self.mean


class Jitter(RandTransform):
    split_idx, order = 0, 20

    def encodes(self, x: TensorImage):
        light = torch.tensor(draws(self.draw_name, n=len(x)).uniform(0, 0.3))
        return x + light[:, None, None, None]


@pytest.fixture
def dls(picture_folder):
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=GrandparentSplitter(),
        get_y=parent_label,
        item_tfms=Resize(32),
    )
    return block.dataloaders(picture_folder, bs=8, num_workers=0)


def test_numbers_are_printed_and_one_item_can_be_repeated(capsys):
    dl = TfmdDL(torch.arange(50), after_item=Shown, after_batch=Neg, bs=4)
    assert len(dl) == 13
    assert dl.one_batch().tolist() == [0, -1, -2, -3]
    dl.show_batch()
    assert capsys.readouterr().out == "0\n1\n2\n3\n"
    dl.show_batch(unique=True)
    assert capsys.readouterr().out == "0\n0\n0\n0\n"
    assert dl.show_batch(show=False) == [0, 1, 2, 3]


def test_types_survive_plain_functions_and_come_back_on_decoding_plain_batches():
    dl = TfmdDL(
        [(TensorImage([1]),)] * 4, after_batch=[Neg(), lambda x: x * 2], bs=4, num_workers=2
    )
    assert type(dl.one_batch()[0]) is TensorImage
    plain = (torch.tensor([[1.0], [1.0], [1.0], [1.0]]),)
    assert type(dl.decode(plain)[0]) is TensorImage
    (sample,) = dl.decode_batch(plain)[0]
    assert type(sample) is TensorImage and sample.tolist() == [-1.0]


def test_decoding_undoes_batch_item_and_data_set_transforms_in_reverse():
    dsets = Datasets(["b", "a", "c"], [[str.upper, Categorize]])
    dl = TfmdDL(dsets, 3, after_item=[lambda x: x + 10], after_batch=Neg)
    batch = dl.one_batch()
    assert batch[0].tolist() == [-11, -10, -12]
    plus_only = Transform(lambda x: x + 10, lambda x: x - 10)
    dl = TfmdDL(dsets, 3, after_item=[plus_only], after_batch=Neg)
    assert dl.decode_batch(dl.one_batch()) == [("B",), ("A",), ("C",)]
    assert [int(s[0]) for s in dl.decode_batch(dl.one_batch(), full=False)] == [1, 0, 2]
    assert len(dl.decode_batch(dl.one_batch(), max_n=2)) == 2
    assert len(dl.decode_batch(dl.one_batch(), max_n=None)) == 3


def test_batch_transforms_are_set_up_from_one_raw_batch_of_training(dls):
    centre = Centre()
    train = dls.train
    dl = TfmdDL(
        train.dataset,
        8,
        shuffle=True,
        after_item=train.after_item,
        after_batch=[centre, IntToFloatTensor],
    )
    assert 0 < centre.mean < 1  # after the division by 255, which has the lower order
    x, _ = dl.one_batch()
    assert x.dtype == torch.float32 and abs(x.mean().item()) < 0.1
    back = dl.decode((x, None))[0]
    assert back.dtype == torch.uint8 and type(back) is TensorImage


def test_no_batch_is_made_where_no_transform_looks_at_it():
    class Unreadable(list):
        def __getitem__(self, i):
            raise AssertionError("was read")

    TfmdDL(Unreadable([1, 2, 3]), 2, after_item=Neg, after_batch=Neg)


def test_batch_transforms_may_be_limited_to_a_split(dls):
    dl = dls.train.new(after_batch=[IntToFloatTensor, Jitter])
    assert dl.one_batch()[0].max() > 1.01
    other = dls.valid.new(after_batch=[IntToFloatTensor, Jitter])
    assert other.one_batch()[0].max() <= 1
    augmented = dls.valid.new(after_batch=[IntToFloatTensor, Jitter], split_idx=0)
    assert augmented.one_batch()[0].max() > 1.01
    first, second = (augmented.one_batch()[0] for _ in range(2))
    assert not torch.equal(first, second)


def test_validation_batches_are_the_same_every_time(dls):
    first, second = ([b[0] for b in dls.valid] for _ in range(2))
    assert all(map(torch.equal, first, second))


def test_attributes_are_found_through_data_and_transforms(dls):
    assert dls.train.vocab == ["cat", "dog"] and dls.train.c == 2
    assert dls.train.n_inp == 1
    assert dls.train.div == 255.0
    with pytest.raises(AttributeError, match="Neither the loader nor its Datasets has .* `vocap`"):
        dls.train.vocap
    assert TfmdDL(torch.arange(3)).n_inp == 1


def test_new_shares_the_transforms_and_does_not_set_them_up_again(dls):
    centre = Centre()
    dl = dls.train.new(after_batch=[IntToFloatTensor(), centre])
    assert centre.mean is None
    dl.setup()
    learned = centre.mean
    dl.new(bs=2).one_batch()
    assert centre.mean == learned
    assert dl.new(bs=None).bs is None and dl.new().bs == 8


def test_pictures_are_shown_on_a_grid(dls):
    dls.train.show_batch(nrows=1, ncols=3)
    assert [ax.get_title() in ("cat", "dog") for ax in plt.gcf().axes] == [True] * 3
    plt.close("all")
    dls.train.show_batch(max_n=4, unique=True)
    assert {ax.get_title() for ax in plt.gcf().axes} == {"cat"}


def test_unique_shows_one_item_with_draws_of_its_own(dls):
    made = dls.train.new(after_batch=[IntToFloatTensor, Jitter]).show_batch(
        unique=True, max_n=3, show=False
    )
    pictures, labels = zip(*made, strict=True)
    assert labels == ("cat",) * 3
    assert not torch.equal(pictures[0], pictures[1])


def test_results_of_plain_predictions(dls):
    x, y = dls.valid.one_batch()
    wrong = 1 - y.as_subclass(Tensor)
    dls.valid.show_results((x, y), wrong, max_n=2)
    for ax in plt.gcf().axes:
        wanted, predicted = ax.get_title().split("\n")
        assert {wanted, predicted} == {"cat", "dog"}
        assert ax.title.get_color() == palette(ax).wrong


def test_lists_with_one_pipeline_give_batches_without_tuples():
    dl = TfmdDL(TfmdLists(["b", "a"], Categorize), 2)
    batch = dl.one_batch()
    assert type(batch) is TensorCategory and batch.tolist() == [1, 0]
    assert dl.decode_batch(batch) == ["b", "a"]


def test_repeating_an_item_as_the_chapter_does(dls):
    dls.train.get_idxs = lambda: Inf.ones
    x, y = dls.train.one_batch()
    assert x.shape == (8, 3, 32, 32) and len(set(y.tolist())) == 1


def test_loaders_pickle(dls):
    copy = pickle.loads(pickle.dumps(dls.valid))
    assert torch.equal(copy.one_batch()[0], dls.valid.one_batch()[0])


def test_item_transforms_may_be_limited_to_a_split():
    class OnlyTraining(Transform):
        split_idx = 0

        def encodes(self, x: int):
            return x + 100

    dsets = Datasets(range(4), [None], splits=[[0, 1], [2, 3]])
    for tfms in ([OnlyTraining], [Transform(lambda x: x + 100, split_idx=0)]):
        dls = dsets.dataloaders(bs=2, shuffle=False, after_item=tfms, num_workers=0)
        assert [dl.one_batch()[0].tolist() for dl in dls] == [[100, 101], [2, 3]]
