import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from presize.core.paths import data_dir
from presize.data import digits
from presize.data.digits import digits_folder


def _files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png"))


def test_all_digits_are_written_and_a_fifth_of_each_label_is_for_validation():
    folder = digits_folder()
    assert folder == data_dir() / "digits"
    files = _files(folder)
    assert len(files) == 1797
    for label in range(10):
        train = sum(f.startswith(f"train/{label}/") for f in files)
        valid = sum(f.startswith(f"valid/{label}/") for f in files)
        assert round((train + valid) / 5) == valid


def test_a_file_holds_the_digit_of_its_number():
    data = load_digits()
    for split in ("train", "valid"):
        for path in list((digits_folder() / split).rglob("*.png"))[::97]:
            number = int(path.stem)
            assert path.parent.name == str(data.target[number])
            pixels = np.asarray(Image.open(path))
            assert (np.round(pixels / (255 / 16)) == data.images[number]).all()


def test_the_split_is_the_same_everywhere(tmp_path, monkeypatch):
    here = _files(digits_folder())
    monkeypatch.setenv("PRESIZE_HOME", str(tmp_path))
    elsewhere = digits_folder()
    assert elsewhere.is_relative_to(tmp_path)
    assert _files(elsewhere) == here
    # Written down, so that a new version of a library cannot change it unnoticed.
    assert [f for f in here if f.startswith("valid/0/")][:4] == [
        "valid/0/0020.png", "valid/0/0078.png", "valid/0/0126.png", "valid/0/0178.png",
    ]  # fmt: skip


def test_a_second_call_writes_nothing():
    folder = digits_folder()
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    assert digits_folder() == folder
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    assert [p.name for p in folder.parent.iterdir() if p.name.startswith(".digits")] == []


def test_a_killed_run_leaves_no_half_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PRESIZE_HOME", str(tmp_path))

    def killed(folder):
        (folder / "train").mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(digits, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            digits_folder()
    assert list((tmp_path / "data").iterdir()) == []
    assert len(_files(digits_folder())) == 1797
