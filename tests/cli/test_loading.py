"""The data of a run: folders, patterns and tables become the same loaders as in Python."""

import shutil
from pathlib import Path

import pytest

from presize.cli.loading import described, loaders
from presize.cli.settings import settings_of
from presize.cli.source import find_data
from presize.core.errors import DataError, DownloadError
from presize.data.batchfiles import file_of


def loaded(data: Path, **given):
    told = {"size": 16, "presize": 16, "bs": 4, "workers": 0, **given, "data": str(data)}
    named = {name: told[name] for name in ("pattern", "label_delim") if name in told}
    return loaders(find_data(str(data), **named), settings_of(told))


def names(dataset) -> list[str]:
    return [Path(file_of(dataset, i)).name for i in range(len(dataset))]


@pytest.fixture
def table(stripes: Path, tmp_path: Path):
    """Write a table of these rows beside copies of the pictures that it names."""
    for file in (stripes / "train").rglob("*.jpg"):
        shutil.copy(file, tmp_path)

    def write(rows: list[str], name: str = "labels.csv") -> Path:
        file = tmp_path / name
        file.write_text("\n".join([*rows, ""]), encoding="utf-8")
        return file

    return write


def test_a_folder_with_its_own_split_keeps_it(stripes):
    dls = loaded(stripes)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (24, 12)
    assert all("valid" in name for name in names(dls.valid_ds))
    assert described(dls) == {
        "task": "classification",
        "splits": {"train": 24, "valid": 12},
        "classes": {"train": {"across": 12, "down": 12}, "valid": {"across": 6, "down": 6}},
    }


def test_a_part_that_is_named_is_drawn_from_all_pictures(stripes):
    dls = loaded(stripes, valid_pct=0.25)
    assert (len(dls.train_ds), len(dls.valid_ds)) == (27, 9)


def test_names_of_files_can_hold_the_labels(stripes):
    dls = loaded(stripes / "valid", pattern=r"^([a-z]+)_", seed=1)
    assert (list(dls.vocab), len(dls.train_ds), len(dls.valid_ds)) == (["across", "down"], 10, 2)
    again = loaded(stripes / "valid", pattern=r"^([a-z]+)_", seed=1)
    assert names(again.valid_ds) == names(dls.valid_ds)
    other = loaded(stripes / "valid", pattern=r"^([a-z]+)_", seed=2)
    assert names(other.valid_ds) != names(dls.valid_ds)


def test_a_table_says_what_is_for_validation(table):
    rows = ["file,label,is_valid"]
    rows += [
        f"{label}_train{i}.jpg,{label},{i < 2}" for label in ("across", "down") for i in range(5)
    ]
    dls = loaded(table(rows))
    assert (list(dls.vocab), dls.task) == (["across", "down"], "classification")
    assert names(dls.valid_ds) == [f"{k}_train{i}.jpg" for k in ("across", "down") for i in (0, 1)]
    assert len(loaded(table(rows), valid_pct=0.5).valid_ds) == 5


def test_a_table_of_tabs_may_hold_several_labels(table):
    rows = ["file\tlabels"]
    rows += [f"down_train{i}.jpg\t{'dark; tall' if i % 2 else 'tall'}" for i in range(9)]
    dls = loaded(table([*rows, "down_train9.jpg\t"], "labels.tsv"), label_delim=";")
    assert (list(dls.vocab), dls.task) == (["dark", "tall"], "multilabel")
    assert len(dls.train_ds) + len(dls.valid_ds) == 10


def test_a_picture_without_a_label_is_told_with_its_line(table):
    file = table(["file,label", "down_train0.jpg,down", "down_train1.jpg,"])
    with pytest.raises(DataError, match=r"Line 3 of `.*labels.csv` has no label: .*--label-delim"):
        loaded(file)


def test_options_that_do_not_go_with_the_data_are_refused(stripes, table):
    with pytest.raises(ValueError, match="--label-delim separates labels in a table, but this is"):
        find_data(str(stripes), label_delim=";")
    with pytest.raises(
        ValueError, match="--pattern finds labels in the names of files in a folder"
    ):
        find_data(str(table(["file,label"])), pattern="(.)")


def test_a_public_data_set_is_fetched_only_if_asked_to(monkeypatch, tmp_path, stripes):
    monkeypatch.setenv("PRESIZE_HOME", str(tmp_path / "home"))
    said = r"The data set PETS \(811.7 MB\) is not on this machine yet: --download fetches it into"
    with pytest.raises(DownloadError, match=said):
        find_data("PETS")
    asked: list[str] = []
    monkeypatch.setattr(
        "presize.data.download.untar_data", lambda url: (asked.append(url), stripes)[1]
    )
    assert find_data("MNIST_SAMPLE", download=True).splits == ("train", "valid")
    found = find_data("PETS", download=True)
    assert (found.path, found.pattern) == (stripes / "images", r"^(.+)_\d+\.jpg$")
    assert [url.rsplit("/")[-1] for url in asked] == ["mnist_sample.tgz", "oxford-iiit-pet.tgz"]
    (tmp_path / "home/data/mnist_sample").mkdir(parents=True)
    find_data("MNIST_SAMPLE")
    with pytest.raises(NotADirectoryError, match="no folder `PET`.*Did you mean `PETS`"):
        find_data("PET")
