"""A model file with labelled pictures: the right split, the file's own transforms, refusals."""

import csv
import shutil
from dataclasses import replace

import pandas as pd
import pytest
import torch

from presize.core.errors import DataError, ModelFileError
from presize.core.paths import Path
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.deploy.labelled import load_with_data
from presize.models.arch import resnet18
from presize.train.metrics import accuracy
from presize.vision.learner import vision_learner


def exported(folder, **options):
    dls = ImageDataLoaders.from_folder(folder, item_tfms=Resize(32), bs=4, num_workers=0, **options)
    learn = vision_learner(dls, resnet18, cut=3, pretrained=False, lin_ftrs=[4], metrics=accuracy)
    with learn.no_logging():
        learn.fit(1)
    return learn, learn.export("model.safetensors")


def files(loader):
    return sorted(f"{item.parent.name}/{item.name}" for item in loader.dataset.items)


def test_the_folder_s_own_split_is_judged_as_in_training(picture_folder):
    learn, path = exported(picture_folder)
    found = load_with_data(path, picture_folder)
    assert files(found.dls.valid) == files(learn.dls.valid)
    assert len(found.dls.train.dataset) == len(learn.dls.train.dataset)
    ours, theirs = learn.get_preds(), found.get_preds()
    order = [[f.name for f in one.dls.valid.dataset.items] for one in (learn, found)]
    assert order[0] == order[1]
    assert torch.equal(ours[1].as_subclass(torch.Tensor), theirs[1].as_subclass(torch.Tensor))
    torch.testing.assert_close(ours[0], theirs[0], atol=1e-6, rtol=0)
    assert found.dls.vocab == learn.dls.vocab
    assert found.record.fits[0].names[:2] == ["epoch", "train_loss"]


def test_a_random_split_is_known_again_also_where_the_data_has_moved(picture_folder, tmp_path):
    learn, path = exported(picture_folder / "train", valid_pct=0.25, seed=3)
    moved = tmp_path / "elsewhere"
    shutil.copytree(picture_folder / "train", moved)
    found = load_with_data(path, moved)
    assert files(found.dls.valid) == files(learn.dls.valid)
    assert files(found.dls.train) == files(learn.dls.train)


def test_pictures_that_the_model_has_not_seen_are_all_judged_with_a_warning(
    picture_folder, tmp_path
):
    _, path = exported(picture_folder / "train", valid_pct=0.25, seed=3)
    other = tmp_path / "other"
    for label in ("cat", "dog"):
        (other / label).mkdir(parents=True)
        for file in (picture_folder / "valid" / label).iterdir():
            shutil.copy(file, other / label / f"new_{file.name}")
    with pytest.warns(UserWarning, match="All 12 pictures are judged.*too good"):
        found = load_with_data(path, other)
    assert len(found.dls.valid.dataset) == 12
    assert len(found.dls.train.dataset) == 0
    assert len(found.validate()) == 1


def test_labels_come_from_names_and_from_a_table(picture_folder, tmp_path):
    _, path = exported(picture_folder)
    flat = tmp_path / "flat"
    flat.mkdir()
    lines = ["name,label,is_valid"]
    for label in ("cat", "dog"):
        for file in (picture_folder / "valid" / label).iterdir():
            shutil.copy(file, flat / f"{label}_{file.name}")
            lines.append(f"{label}_{file.name},{label},{file.stem in '12'}")
    with pytest.warns(UserWarning, match="All 12 pictures"):
        found = load_with_data(path, flat, pattern=r"^([a-z]+)_")
    assert len(found.dls.valid.dataset) == 12
    item, (_, target) = found.dls.valid.dataset.items[0], found.dls.valid.dataset[0]
    assert found.dls.vocab[int(target)] == item.name[:3]
    table = flat / "labels.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    found = load_with_data(path, table)
    assert (len(found.dls.train.dataset), len(found.dls.valid.dataset)) == (8, 4)


def table_of(folder, labels, name="labels.csv", **columns):
    """Write a table of the cats for validation with these labels, in quotes; return its path."""
    names = [f"valid/cat/{i}.jpg" for i in range(len(labels))]
    assert all((folder / file).is_file() for file in names)
    table = pd.DataFrame({"name": names, "label": labels} | columns)
    table.to_csv(folder / name, index=False, quoting=csv.QUOTE_ALL)
    return folder / name


def learner_of_table(table, **options):
    """Train a learner on a table as `from_csv` reads it; return it and its file."""
    dls = ImageDataLoaders.from_csv(
        table.parent, table.name, item_tfms=Resize(32), bs=2, num_workers=0, seed=1, **options
    )
    learn = vision_learner(dls, resnet18, cut=3, pretrained=False, lin_ftrs=[4])
    with learn.no_logging():
        learn.fit(1)
    return learn, learn.export(f"{table.stem}.safetensors")


def labels_by_file(dataset, files):
    return {str(file): dataset[i][1].tolist() for i, file in enumerate(files)}


@pytest.mark.parametrize("labels", [[3, 7, 7], [1.5, 2.0, 2.0], [True, False, False]])
def test_classes_of_a_table_may_be_numbers(picture_folder, labels):
    table = table_of(picture_folder, labels * 2)
    learn, path = learner_of_table(table)
    found = load_with_data(path, table)
    assert found.dls.vocab == learn.dls.vocab == sorted(set(labels))
    assert found.interpret().targs.tolist() == learn.interpret().targs.tolist()


def test_several_labels_in_a_cell_are_read_as_in_training(picture_folder):
    table = table_of(picture_folder, ["a;b", "b; c", "", "a;b", "c;", "a, b"])
    learn, path = learner_of_table(table, label_delim=";")
    found = load_with_data(path, table, label_delim=";")
    for ours, theirs in zip(found.dls, learn.dls, strict=True):
        sets = ours.dataset, theirs.dataset
        assert labels_by_file(sets[0], sets[0].items) == labels_by_file(
            sets[1], [table.parent / name for name in sets[1].items["name"]]
        )
    with pytest.raises(DataError, match=r"`a;b`.* What separates several labels .* label_delim="):
        load_with_data(path, table)


def test_odd_tables_are_refused(picture_folder):
    _, path = exported(picture_folder)
    refused = {
        "says with True or False.*but has 't'": {"is_valid": ["t", "f"] * 3},
        "says with True or False.*but has ''": {"is_valid": ["", "True"] * 3},
    }
    for words, columns in refused.items():
        table = table_of(picture_folder, ["cat"] * 6, **columns)
        with pytest.raises(DataError, match=words):
            load_with_data(path, table)
    table = table_of(picture_folder, ["cat"] * 6, is_valid=["1.0", "0.0", "0.0"] * 2)
    assert len(load_with_data(path, table).dls.valid.dataset) == 2
    with pytest.raises(DataError, match=r"one label for each picture, but .*1\.jpg has none"):
        load_with_data(path, table_of(picture_folder, ["cat", "", "dog"]))
    with pytest.raises(DataError, match=r"has 2 \(cat, dog\)"):
        load_with_data(path, table_of(picture_folder, ["cat", "cat;dog"]), label_delim=";")
    twice = table_of(picture_folder, ["cat", "dog"], name="twice.csv")
    twice.write_text(twice.read_text().replace("/1.jpg", "/0.jpg"))
    with pytest.raises(DataError, match=r"0\.jpg` is there twice, as `cat` and as `dog`"):
        load_with_data(path, twice)
    twice.write_text("")
    with pytest.raises(DataError, match="is no table of pictures and labels"):
        load_with_data(path, twice)
    with pytest.raises(DataError, match=r"cat/0\.jpg` is no table of pictures and labels"):
        load_with_data(path, picture_folder / "valid" / "cat" / "0.jpg")


def test_marks_that_were_changed_are_told(picture_folder):
    learn, path = exported(picture_folder / "train", valid_pct=0.25, seed=3)
    record = learn.training_record()
    learn.history.fits.clear()
    learn.record = replace(record, data=replace(record.data, valid_marks="?"))
    path = learn.export("other.safetensors")
    with pytest.raises(ModelFileError, match=r"other.* was judged by is not valid: .*changed"):
        load_with_data(path, picture_folder / "train")


def test_the_model_of_another_data_set_is_refused(picture_folder, tmp_path):
    _, path = exported(picture_folder)
    other = tmp_path / "birds"
    shutil.copytree(picture_folder / "valid" / "cat", other / "owl")
    shutil.copytree(picture_folder / "valid" / "dog", other / "cats")
    with pytest.raises(DataError) as caught:
        load_with_data(path, other)
    text = str(caught.value)
    assert "is the model of another data set: it knows 2 classes (`cat`, `dog`)" in text
    assert "none of the 2 labels of these pictures are among them: `cats`, `owl`." in text
    assert "Did you mean `cat`?" in text


def test_pictures_without_labels_and_folders_that_are_not_there_are_refused(
    picture_folder, tmp_path
):
    _, path = exported(picture_folder)
    with pytest.raises(DataError, match="have no labels to compare with.*pattern or a CSV"):
        load_with_data(path, picture_folder / "valid" / "cat")
    near = Path(picture_folder.parent) / "picturez"
    with pytest.raises(FileNotFoundError, match="no CSV file .* Did you mean `pictures`"):
        load_with_data(path, near)
