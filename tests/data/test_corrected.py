"""Decisions of a CSV file in data sets: what is dropped, which labels are others."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from presize.core.errors import DataError
from presize.data.blocks import (
    CategoryBlock,
    ImageBlock,
    MultiCategoryBlock,
    RegressionBlock,
)
from presize.data.corrected import like
from presize.data.datablock import DataBlock
from presize.data.decisions import Decisions, DecisionsNotFoundError
from presize.data.folders import ImageDataLoaders
from presize.data.items import get_image_files
from presize.data.labels import ColReader, parent_label
from presize.data.resize import Resize
from presize.data.splits import GrandparentSplitter, RandomSplitter


@pytest.fixture
def decisions(picture_folder: Path, tmp_path: Path) -> Decisions:
    """Drops one cat of training and one dog of validation, and makes a dog of another cat."""
    made = Decisions(tmp_path / "decisions.csv", root=picture_folder)
    made.decide("train/cat/0.jpg", "drop")
    made.decide("valid/dog/1.jpg", "drop")
    made.decide("train/cat/2.jpg", "relabel", label="dog", given="cat")
    made.decide("train/cat/3.jpg", "keep")
    return made


def block_of(decisions, **changes):
    return DataBlock(
        **{
            "blocks": (ImageBlock, CategoryBlock),
            "get_items": get_image_files,
            "splitter": GrandparentSplitter(),
            "get_y": parent_label,
            "item_tfms": Resize(16),
            "decisions": decisions,
        }
        | changes
    )


def files(dataset) -> list[str]:
    return ["/".join(Path(item).parts[-3:]) for item in dataset.items]


def labels(dsets) -> dict[str, str]:
    """Return the label of each file, as training gets it."""
    found = {}
    for part in (dsets.train, dsets.valid):
        for name, number in zip(files(part), part.tls[1], strict=True):
            found[name] = dsets.vocab[int(number)]
    return found


def test_what_is_dropped_is_left_out_and_what_is_relabelled_has_its_new_label(
    picture_folder, decisions
):
    plain = labels(block_of(None).datasets(picture_folder))
    dsets = block_of(decisions.path).datasets(picture_folder)
    made = labels(dsets)
    assert set(plain) - set(made) == {"train/cat/0.jpg", "valid/dog/1.jpg"}
    assert {name for name in made if made[name] != plain[name]} == {"train/cat/2.jpg"}
    assert (len(dsets.train), len(dsets.valid)) == (23, 11)


def test_loaders_serve_the_new_labels(picture_folder, decisions):
    dls = ImageDataLoaders.from_folder(
        picture_folder, item_tfms=Resize(16), decisions=decisions.path, bs=23, num_workers=0
    )
    _, y = dls.one_batch()
    assert dls.vocab == ["cat", "dog"] and y.sum() == 13 and len(y) == 23


def test_all_others_stay_on_their_side_of_a_random_split(picture_folder, decisions):
    for splitter in (RandomSplitter(seed=3), RandomSplitter(0.4, seed=4)):
        plain = block_of(None, splitter=splitter).datasets(picture_folder)
        made = block_of(decisions, splitter=splitter).datasets(picture_folder)
        gone = {"train/cat/0.jpg", "valid/dog/1.jpg"}
        for before, after in ((plain.train, made.train), (plain.valid, made.valid)):
            assert files(after) == [name for name in files(before) if name not in gone]


def test_the_csv_is_read_whenever_the_data_is(picture_folder, decisions):
    block = block_of(decisions.path)
    assert len(block.datasets(picture_folder).train) == 23
    decisions.decide("train/dog/5.jpg", "drop")
    assert len(block.datasets(picture_folder).train) == 22
    assert len(block.new(item_tfms=Resize(8)).datasets(picture_folder).train) == 22


def test_a_class_that_is_new_joins_the_others(picture_folder, decisions):
    decisions.decide("train/dog/5.jpg", "relabel", label="fox")
    assert block_of(decisions).datasets(picture_folder).vocab == ["cat", "dog", "fox"]
    given = (ImageBlock, CategoryBlock(vocab=["dog", "cat"], sort=False))
    made = block_of(decisions, blocks=given).datasets(picture_folder)
    assert made.vocab == ["dog", "cat", "fox"]
    assert labels(made)["train/dog/5.jpg"] == "fox"
    add_na = (ImageBlock, CategoryBlock(vocab=["dog", "cat"], sort=False, add_na=True))
    made = block_of(decisions, blocks=add_na).datasets(picture_folder)
    assert made.vocab == ["#na#", "dog", "cat", "fox"]


def test_a_class_of_validation_alone_is_told(picture_folder, decisions):
    decisions.decide("valid/dog/5.jpg", "relabel", label="dgo")
    with pytest.raises(DataError, match="label `dgo` is in validation.*Did you mean `dog`"):
        block_of(decisions).datasets(picture_folder)


@pytest.mark.parametrize("kind", ["from_path_func", "from_lists", "from_df", "from_csv", "list"])
def test_every_way_to_name_files_takes_decisions(picture_folder, decisions, kind, monkeypatch):
    found = list(get_image_files(picture_folder))
    given = [parent_label(file) for file in found]
    names = [str(file.relative_to(picture_folder)) for file in found]
    frame = pd.DataFrame({"name": names, "label": given})
    options = {"item_tfms": Resize(8), "bs": 8, "num_workers": 0, "seed": 1}
    common = options | {"decisions": decisions.path}
    if kind == "from_path_func":
        made = ImageDataLoaders.from_path_func(picture_folder, found, parent_label, **common)
    elif kind == "from_lists":
        made = ImageDataLoaders.from_lists(picture_folder, names, given, **common)
    elif kind == "from_df":
        made = ImageDataLoaders.from_df(frame, picture_folder, **common)
    elif kind == "from_csv":
        frame.to_csv(picture_folder / "labels.csv", index=False)
        made = ImageDataLoaders.from_csv(picture_folder, **common)
    else:  # relative to the current folder, and the folder of the data is not told
        monkeypatch.chdir(picture_folder.parent)
        items = [file.relative_to(picture_folder.parent) for file in found]
        made = block_of(decisions.path, get_items=None, splitter=RandomSplitter(seed=1))
        made = made.dataloaders(items, bs=8, num_workers=0)
    assert len(made.train_ds) + len(made.valid_ds) == 34
    numbers = [int(y) for part in (made.train_ds, made.valid_ds) for y in part.tls[1]]
    assert sum(numbers) == 18  # 18 dogs, one dropped, one cat is a dog


def test_a_table_is_read_by_columns_where_both_are_columns(picture_folder, decisions):
    found = get_image_files(picture_folder)
    frame = pd.DataFrame({"name": [str(f) for f in found], "label": list(map(parent_label, found))})
    block = block_of(
        decisions, get_items=None, get_x=ColReader("name"), get_y=ColReader("label"), splitter=None
    )
    dsets = block.datasets(frame)
    assert [type(tl._rows).__name__ for tl in dsets.tls] == ["Table", "Table"]
    cut = DataBlock(
        block.blocks, get_x=lambda r: r["name"], get_y=ColReader("label"), decisions=decisions
    )
    assert sorted(map(int, cut.datasets(frame).tls[1])) == sorted(map(int, dsets.tls[1]))


def test_labels_that_are_numbers_stay_numbers(picture_folder, tmp_path):
    found = list(get_image_files(picture_folder))
    frame = pd.DataFrame({"name": map(str, found), "label": [3, 7] * (len(found) // 2)})
    made = Decisions(tmp_path / "d.csv")
    made.decide(found[0], "relabel", label="7")
    dls = ImageDataLoaders.from_df(
        frame, item_tfms=Resize(8), decisions=made.path, bs=4, num_workers=0, device="cpu"
    )
    assert dls.vocab == [3, 7]
    assert [like("3", o) for o in (5, np.int64(5), 2.5, "x", None)] == [3, 3, 3.0, "3", "3"]
    assert like("new", 5) == "new"


def test_pictures_with_several_labels(picture_folder, tmp_path):
    found = list(get_image_files(picture_folder))
    made = Decisions(tmp_path / "d.csv")
    made.decide(found[0], "relabel", label="wild; cat")
    block = block_of(
        made,
        blocks=(ImageBlock, MultiCategoryBlock),
        get_y=lambda file: [file.parent.name, "animal"],
        splitter=RandomSplitter(seed=1),
    )
    dsets = block.datasets(picture_folder)
    hot = {f: [dsets.vocab[i] for i in y.nonzero().flatten()] for f, y in _targets(dsets)}
    assert dsets.vocab == ["animal", "cat", "dog", "wild"]
    assert hot[str(found[0])] == ["cat", "wild"] and hot[str(found[1])] == ["animal", "cat"]


def _targets(dsets):
    for part in (dsets.train, dsets.valid):
        yield from zip(map(str, part.items), part.tls[1], strict=True)


def test_targets_that_are_no_classes_are_only_dropped(picture_folder, decisions):
    block = block_of(decisions, blocks=(ImageBlock, RegressionBlock), get_y=lambda file: 1.5)
    with pytest.warns(UserWarning, match="relabels 1 of the items, which changes nothing"):
        dsets = block.datasets(picture_folder)
    assert (len(dsets.train), len(dsets.valid)) == (23, 11) and float(dsets.train[0][1]) == 1.5


def test_worker_processes_serve_the_new_labels_too(picture_folder, decisions):
    dsets = block_of(decisions).datasets(picture_folder)
    again = pickle.loads(pickle.dumps(dsets))
    assert labels(again) == labels(dsets)


def test_a_run_goes_on_with_the_same_labels_alone(picture_folder, decisions):
    def spec():
        return block_of(decisions).datasets(picture_folder).tls[1].tfms.fs[0].spec()

    before = spec()
    assert before == spec() and before["labels"] == 1
    decisions.decide("train/cat/4.jpg", "relabel", label="dog")
    more = spec()
    decisions.decide("train/cat/4.jpg", "drop")
    decisions.decide("train/cat/5.jpg", "relabel", label="dog")
    assert len({str(one) for one in (before, more, spec())}) == 3


def test_cross_validation_divides_what_is_left(picture_folder, decisions):
    from presize.data.refolded import folded

    data = folded(block_of(decisions), picture_folder, {"bs": 4, "num_workers": 0})
    assert len(data.dsets) == 34 and data.n_source == 36 and len(data.places) == 34


def test_files_that_are_not_there_are_told(picture_folder, decisions):
    decisions.decide("train/cat/99.jpg", "drop")
    with pytest.warns(UserWarning, match="decisions about 1 file that are not there: `train/cat/9"):
        block_of(decisions).datasets(picture_folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decisions.forget("train/cat/99.jpg")
        block_of(decisions).datasets(picture_folder)
        part = list(get_image_files(picture_folder / "train"))  # the others are there, unused
        block_of(decisions, get_items=None, splitter=None).datasets(part)


def test_decisions_about_other_data_are_told(picture_folder, tmp_path):
    made = Decisions(tmp_path / "d.csv")
    made.decide("other/1.jpg", "drop")
    with pytest.warns(
        UserWarning, match="None of the 1 decisions.*Decisions\\(csv, root=folder\\)"
    ):
        assert len(block_of(made).datasets(picture_folder).train) == 24


def test_names_that_fit_twice_are_told(picture_folder, tmp_path):
    made = Decisions(tmp_path / "d.csv")
    made.decide("cat/3.jpg", "drop")
    items = list(get_image_files(picture_folder))
    block = block_of(made, get_items=None)
    with pytest.raises(DataError, match="some below `.*train` and some below `.*valid`"):
        block.datasets(items)
    rooted = Decisions(made.path, root=picture_folder / "train")
    assert len(block_of(rooted, get_items=None).datasets(items).train) == 23


def test_all_of_a_set_dropped_is_told(picture_folder, decisions):
    for file in get_image_files(picture_folder / "valid"):
        decisions.decide(file, "drop")
    with pytest.raises(DataError, match="decisions.csv` drops all 12 items of the validation set"):
        block_of(decisions).datasets(picture_folder)


def test_items_that_are_no_files_are_told(decisions):
    block = DataBlock((ImageBlock, CategoryBlock), get_y=str, decisions=decisions)
    with pytest.raises(DataError, match="is about files, but the picture of the item 0 comes"):
        block.datasets(range(10))


def test_a_csv_that_is_not_there_is_told(picture_folder, tmp_path):
    with pytest.raises(DecisionsNotFoundError, match="There are no decisions"):
        block_of(tmp_path / "no.csv").datasets(picture_folder)


def test_an_empty_csv_changes_nothing(picture_folder, tmp_path):
    made = Decisions(tmp_path / "d.csv")
    made.decide("a", "drop")
    made.forget("a")
    assert labels(block_of(made.path).datasets(picture_folder)) == labels(
        block_of(None).datasets(picture_folder)
    )


def test_labels_of_other_kinds_stay_what_they_are(picture_folder, tmp_path):
    found = list(get_image_files(picture_folder))
    made = Decisions(tmp_path / "d.csv")
    made.decide(found[0], "relabel", label="True")
    block = block_of(made, get_items=None, splitter=RandomSplitter(seed=1))
    block.getters[1] = lambda file: file == found[1]
    assert block.datasets(found).vocab == [False, True]
    assert [like(o, True) for o in ("True", "False", "maybe")] == [True, False, "maybe"]
    made.decide(found[0], "relabel", label="1;4")
    for vocab, learned in ((None, [1, 2, 4]), ([2, 1], [2, 1, 4])):
        several = block_of(
            made,
            get_items=None,
            blocks=(ImageBlock, MultiCategoryBlock(vocab=vocab)),
            get_y=lambda file: [1, 2],
            splitter=lambda items: (range(20), range(20, len(items))),
        )
        dsets = several.datasets(found)
        assert dsets.vocab == learned
        assert [dsets.vocab[i] for i in dsets.train[0][1].nonzero().flatten()] == [1, 4]


def test_targets_that_are_encoded_already(picture_folder, tmp_path):
    found = list(get_image_files(picture_folder))
    names = [str(file) for file in found]
    frame = pd.DataFrame({"name": names, "wild": 0, "big": [0, 1] * (len(found) // 2)})
    made = Decisions(tmp_path / "d.csv")
    made.decide(found[0], "relabel", label="wild;big")

    def data():
        kind = MultiCategoryBlock(encoded=True, vocab=["wild", "big"])
        columns = {"label_col": ["wild", "big"], "y_block": kind, "item_tfms": Resize(8)}
        return ImageDataLoaders.from_df(frame, bs=4, num_workers=0, decisions=made, **columns)

    dls = data()
    hot = {
        row["name"]: y.tolist()
        for part in (dls.train_ds, dls.valid_ds)
        for (_, row), y in zip(part.items.iterrows(), part.tls[1], strict=True)
    }
    assert hot[names[0]] == [1, 1] and hot[names[1]] == [0, 1] and hot[names[2]] == [0, 0]
    made.decide(found[0], "relabel", label="wlid")
    with pytest.raises(DataError, match="new label `wlid`.*each of the 2 classes.*`wild`"):
        data()


def test_of_several_targets_the_first_is_decided_about(picture_folder, decisions):
    block = block_of(
        decisions,
        blocks=(ImageBlock, CategoryBlock, CategoryBlock),
        n_inp=1,
        get_y=[parent_label, lambda file: "odd" if int(file.stem) % 2 else "even"],
    )
    dsets = block.datasets(picture_folder)
    assert [list(tl.vocab) for tl in dsets.tls[1:]] == [["cat", "dog"], ["even", "odd"]]
    assert sum(map(int, dsets.train.tls[1])) == 13  # 12 dogs, and a cat that is one


def test_whole_names_say_nothing_of_the_folder_that_others_are_relative_to(
    picture_folder, tmp_path
):
    made = Decisions(tmp_path / "d.csv", root=picture_folder / "train")
    made.decide(picture_folder / "train/cat/0.jpg", "drop")
    far = picture_folder / "valid/cat/1.jpg"
    made.decide(far, "drop")
    assert sorted(Path(name).is_absolute() for name in made) == [False, True]
    items = [*get_image_files(picture_folder / "train"), far]
    block = block_of(made.path, get_items=None, splitter=RandomSplitter(seed=1))
    dsets = block.datasets(items)
    assert len(dsets.train) + len(dsets.valid) == len(items) - 2
