import pickle
from collections import Counter
from pathlib import Path as PlainPath

import numpy as np
import pandas as pd
import pytest
import torch

from presize.core.collections import L
from presize.core.paths import Path
from presize.data.labels import parent_label
from presize.data.positions import split_indices
from presize.data.splits import (
    ColSplitter,
    EndSplitter,
    FileSplitter,
    FuncSplitter,
    GrandparentSplitter,
    IndexSplitter,
    MaskSplitter,
    RandomSplitter,
    RandomSubsetSplitter,
    TrainTestSplitter,
    check_splits,
)

FILES = [
    Path(f"data/{split}/{label}/{i}.jpg")
    for split in ("extra", "train", "valid")
    for label in ("cat", "dog")
    for i in range(5)
]
FRAME = pd.DataFrame({"name": list("abcde"), "is_valid": [False, True, False, False, True]})

ALL = [
    RandomSplitter(), RandomSplitter(0.5, 3), RandomSubsetSplitter(0.4, 0.3), EndSplitter(),
    EndSplitter(0.3, valid_last=False), TrainTestSplitter(0.2, 1), IndexSplitter([4, 2]),
    TrainTestSplitter(stratify=parent_label), FuncSplitter(lambda o: "cat" in str(o)),
    MaskSplitter([i % 3 == 0 for i in range(30)]), GrandparentSplitter(),
]  # fmt: skip


@pytest.mark.parametrize("splitter", ALL, ids=lambda s: type(s).__name__)
def test_every_splitter_returns_two_lists_that_do_not_overlap(splitter) -> None:
    train, valid = splitter(FILES)
    assert isinstance(train, L) and isinstance(valid, L)
    assert all(type(i) is int and 0 <= i < 30 for i in train + valid)
    assert len(set(train + valid)) == len(train + valid)
    assert check_splits(splitter(FILES), 30, splitter)[0]


def test_random_splitter() -> None:
    train, valid = RandomSplitter(0.3)(range(10))
    assert (len(train), len(valid)) == (7, 3) and sorted(train + valid) == list(range(10))
    splitter = RandomSplitter(seed=42)
    assert splitter(FILES) == splitter(FILES) == RandomSplitter(seed=42)(FILES)
    assert splitter(FILES) != RandomSplitter(seed=43)(FILES)
    assert repr(splitter) == "RandomSplitter(valid_pct=0.2, seed=42)"


def test_a_seeded_split_leaves_the_global_generator_alone_an_unseeded_one_follows_it() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    RandomSplitter(seed=42)(range(10))
    assert torch.equal(before, torch.get_rng_state())
    a = RandomSplitter()(range(100))
    torch.manual_seed(1)
    assert RandomSplitter()(range(100)) == a != RandomSplitter()(range(100))


@pytest.mark.parametrize("value", [20, 1.5, -0.1, "half", None])
def test_parts_are_between_0_and_1(value: object) -> None:
    for make in (RandomSplitter, EndSplitter):
        with pytest.raises(ValueError, match=r"valid_pct=.* between 0 and 1"):
            make(value)
    with pytest.raises(ValueError, match=r"For 20 percent write 0\.2"):
        RandomSplitter(20)


def test_random_subset_splitter() -> None:
    train, valid = RandomSubsetSplitter(0.3, 0.2, seed=1)(range(100))
    assert (len(train), len(valid)) == (30, 20) and not set(train) & set(valid)
    with pytest.raises(ValueError, match="together they can be at most 1"):
        RandomSubsetSplitter(0.8, 0.3)
    with pytest.raises(ValueError, match="train_sz=10"):
        RandomSubsetSplitter(10, 0.3)


def test_train_test_splitter_keeps_the_mix_of_labels() -> None:
    labels = ["a"] * 80 + ["b"] * 20
    train, valid = TrainTestSplitter(0.25, random_state=0, stratify=labels)(range(100))
    assert Counter(labels[i] for i in valid) == {"a": 20, "b": 5} and len(train) == 75
    assert TrainTestSplitter(random_state=0)(labels) == TrainTestSplitter(random_state=0)(labels)
    ordered = TrainTestSplitter(0.2, shuffle=False)(range(10))
    assert ordered == ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9])
    _, valid = TrainTestSplitter(6, stratify=parent_label, train_size=10)(FILES)
    assert Counter(parent_label(FILES[i]) for i in valid) == {"cat": 3, "dog": 3}


def test_train_test_splitter_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"1 of 2 have only one: `b`"):
        TrainTestSplitter(stratify=["a", "a", "a", "b"])(range(4))
    with pytest.raises(ValueError, match=r"stratify has 2 entries, but there are 4 items"):
        TrainTestSplitter(stratify=["a", "b"])(range(4))
    with pytest.raises(ValueError, match=r"TrainTestSplitter.*cannot split 4 items"):
        TrainTestSplitter(test_size=9)(range(4))


@pytest.mark.parametrize(
    "index", [[3, 7, 9], [9, 3, 7], np.array([3, 7, 9]), torch.tensor([3, 7, 9])]
)
def test_index_splitter_keeps_the_order_of_the_items(index: object) -> None:
    assert IndexSplitter(index)(range(10)) == ([0, 1, 2, 4, 5, 6, 8], [3, 7, 9])


def test_index_splitter_refuses_positions_outside() -> None:
    for bad in (10, -1):
        with pytest.raises(ValueError, match=rf"no item {bad}; the 10 items count from 0 to 9"):
            IndexSplitter([bad])(range(10))


def test_end_splitter() -> None:
    assert EndSplitter(0.3)(range(10)) == (list(range(7)), [7, 8, 9])
    assert EndSplitter(0.3, valid_last=False)(range(10)) == (list(range(3, 10)), [0, 1, 2])
    assert EndSplitter(0.01)(range(10)) == (list(range(10)), [])


def test_func_and_mask_splitter() -> None:
    assert FuncSplitter(lambda o: o % 4 == 0)(range(6)) == ([1, 2, 3, 5], [0, 4])
    assert FuncSplitter(lambda row: row["name"] == "b")(FRAME) == ([0, 2, 3, 4], [1])
    for mask in ([True, False, True], np.array([1, 0, 1]) > 0, torch.tensor([True, False, True])):
        assert MaskSplitter(mask)("abc") == ([1], [0, 2])
    with pytest.raises(ValueError, match="mask has 1 entries, but there are 3 items"):
        MaskSplitter([True])("abc")


def test_file_splitter(tmp_path: PlainPath) -> None:
    listing = tmp_path / "valid.txt"
    listing.write_text("1.jpg\n  3.jpg \r\n\n")
    items = [f"a/{i}.jpg" for i in range(4)]
    assert FileSplitter(listing)(items) == FileSplitter(str(listing))([*map(Path, items)])
    assert FileSplitter(listing)(items) == ([0, 2], [1, 3])
    listing.write_text("a/1.jpg\nb/2.jpg\n")
    assert FileSplitter(listing)(items)[1] == [1]
    listing.write_text("1\n2\n")
    with pytest.raises(ValueError, match=r"None of the 4 items.*`1`; an item is `a/0.jpg`"):
        FileSplitter(listing)(items)
    with pytest.raises(FileNotFoundError, match=r"nothing\.txt"):
        FileSplitter(tmp_path / "nothing.txt")(items)


def test_col_splitter() -> None:
    assert ColSplitter()(FRAME) == ColSplitter(1)(FRAME) == ([0, 2, 3], [1, 4])
    assert ColSplitter("is_valid")(FRAME.astype({"is_valid": int})) == ([0, 2, 3], [1, 4])
    assert ColSplitter("is_valid")(FRAME.astype({"is_valid": object})) == ([0, 2, 3], [1, 4])
    assert ColSplitter("name", on="b")(FRAME) == ([0, 2, 3, 4], [1])
    assert ColSplitter("name", on=["b", "e"])(FRAME) == ([0, 2, 3], [1, 4])
    reordered = FRAME.iloc[::-1]  # positions count, not the index of the frame
    assert ColSplitter()(reordered) == ([1, 2, 4], [0, 3])


def test_col_splitter_refuses_what_is_no_yes_or_no() -> None:
    with pytest.raises(ValueError, match=r"no column `valid`. Did you mean `is_valid`\?"):
        ColSplitter("valid")(FRAME)
    for column in (["True", "False"], [0, 4], [True, None], [1.0, float("nan")]):
        with pytest.raises(ValueError, match=r"should hold True or False.*on="):
            ColSplitter("is_valid")(pd.DataFrame({"is_valid": column}))
    with pytest.raises(ValueError, match="reads a column of a DataFrame, but the items are a list"):
        ColSplitter()(["a"])


def test_grandparent_splitter() -> None:
    assert GrandparentSplitter()(FILES) == (list(range(10, 20)), list(range(20, 30)))
    strings = [str(file) for file in FILES]
    both = GrandparentSplitter(("train", "extra"), "valid")
    assert both(strings) == ([*range(10, 20), *range(10)], list(range(20, 30)))
    assert GrandparentSplitter(valid_name=("valid", "test"))(FILES)[1] == list(range(20, 30))


def test_grandparent_splitter_says_which_folders_there_are() -> None:
    with pytest.raises(ValueError) as error:
        GrandparentSplitter(valid_name="val")(FILES)
    text = str(error.value)
    assert "no item in a folder 'val'" in text and "Did you mean `valid`?" in text
    assert "`extra` (10 items), `train` (10 items), `valid` (10 items)" in text


def test_splitters_can_be_pickled() -> None:
    for splitter in ALL[:7]:
        if "seed=None" not in repr(splitter):
            assert pickle.loads(pickle.dumps(splitter))(FILES) == splitter(FILES)


def test_split_indices_takes_lists_tensors_masks_and_slices() -> None:
    for split in ([0, 2], (0, 2), torch.tensor([0, 2]), np.array([0, 2]), L(0, 2), slice(0, 3, 2)):
        assert split_indices(split, 3) == [0, 2]
    for mask in ([True, False, True], [np.True_, np.False_, np.True_], torch.tensor([1, 0, 1]) > 0):
        assert split_indices(mask, 3) == [0, 2]
    assert split_indices([], 3) == [] and split_indices(range(2), 3) == [0, 1]
    with pytest.raises(ValueError, match="A mask of 2 True/False values"):
        split_indices([True, False], 3)
    with pytest.raises(ValueError, match="not a list of positions or a mask"):
        split_indices(["a"], 3)


@pytest.mark.parametrize(
    ("splits", "text"),
    [
        (([], [0, 1]), "leaves the training set empty: of 3 items, 0 are for training and 2 for"),
        (([0, 1], []), "leaves the validation set empty: of 3 items, 2 are for training and 0"),
        (([0], [3]), "there is no item 3; the 3 items count from 0 to 2"),
        (([0], [-1]), "there is no item -1"),
        (([0, 1], [1, 2]), "puts 1 items into two sets, the first at position 1"),
        (([0, 1],), r"two lists of positions, \(train, valid\), but returned 1"),
    ],
)
def test_check_splits_refuses(splits: tuple, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_splits(splits, 3)


def test_check_splits_names_the_splitter() -> None:
    def by_date(items: object) -> tuple:
        return [0], []

    with pytest.raises(ValueError, match=r"^by_date leaves the validation set empty"):
        check_splits(by_date([0]), 1, by_date)
    splitter = RandomSplitter(0.2, 1)
    with pytest.raises(ValueError, match=r"^RandomSplitter\(valid_pct=0.2, seed=1\) leaves"):
        check_splits(splitter(range(3)), 3, splitter)


def test_check_splits_takes_more_than_two() -> None:
    assert check_splits([[0], [1], torch.tensor([2])], 3) == [[0], [1], [2]]
