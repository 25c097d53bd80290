"""A folder of numbered checkpoints."""

import pytest
import torch

from presize.core.errors import ModelFileError
from presize.train.checkpoint_files import CheckpointFolder
from presize.train.state import load_state, save_state


def write(folder, value, keep=2):
    return folder.write({"w": torch.tensor([float(value)])}, {"value": value}, keep)


def test_the_last_few_stay_and_the_newest_is_found(tmp_path):
    folder = CheckpointFolder(tmp_path / "deep/kept")
    for value in range(12):
        path = write(folder, value, keep=3)
    assert [p.name[11:17] for p in folder.files()] == ["000010", "000011", "000012"]
    found, tensors, meta = folder.newest()
    assert found == path
    assert tensors["w"].item() == meta["value"] == 11


def test_numbers_sort_as_numbers(tmp_path):
    folder = CheckpointFolder(tmp_path)
    for name in ("checkpoint-999999", "checkpoint-1000000"):
        save_state(tmp_path / f"{name}.safetensors", tensors={}, meta={"kind": "x"})
    assert [p.stem for p in folder.files()] == ["checkpoint-999999", "checkpoint-1000000"]
    assert write(folder, 1).stem == "checkpoint-1000001"


def test_the_best_stays_when_the_others_go(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.keep_best(write(folder, 0))
    folder.keep_best(write(folder, 1))
    for value in range(2, 6):
        write(folder, value)
    assert load_state(tmp_path / "best.safetensors")[1]["value"] == 1
    assert len(list(tmp_path.iterdir())) == 3


def test_the_best_is_copied_where_there_are_no_links(tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError("no links here")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    folder = CheckpointFolder(tmp_path)
    folder.keep_best(write(folder, 4))
    assert load_state(tmp_path / "best.safetensors")[1]["value"] == 4


def test_a_broken_one_is_passed_over_with_a_warning(tmp_path):
    folder = CheckpointFolder(tmp_path)
    good, bad = write(folder, 1), write(folder, 2)
    bad.write_bytes(bad.read_bytes()[:20])
    with pytest.warns(UserWarning, match=f"cut short.*The one before is used: {good.name}"):
        assert folder.newest()[0] == good
    assert folder.newest_meta() == (good, {"kind": "presize checkpoint", "value": 1})
    good.write_bytes(b"")
    said = rf"None of the 2 .* Remove them, or begin a new run.*leave out --resume.*{bad.name}"
    with pytest.raises(ModelFileError, match=said) as caught:
        folder.newest()
    assert "download" not in str(caught.value)
    assert folder.newest_meta() is None


def test_something_else_under_such_a_name_is_told(tmp_path):
    save_state(tmp_path / "checkpoint-000001.safetensors", tensors={}, meta={"kind": "odd"})
    with pytest.raises(ModelFileError, match="is no checkpoint of a run but a odd"):
        CheckpointFolder(tmp_path).newest()


def test_a_newer_format_is_told(tmp_path):
    folder = CheckpointFolder(tmp_path)
    path = write(folder, 1)
    data = path.read_bytes().replace(b'\\"format\\": 1', b'\\"format\\": 9')
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="written by a newer presize"):
        folder.newest()


def test_an_empty_folder_names_the_way_out(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint in .*none.*cbs=Checkpoints\(\)"):
        CheckpointFolder(tmp_path / "none").newest()


def test_what_is_there_is_set_aside_until_the_next_is_written(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.set_aside()
    assert not list(tmp_path.iterdir())
    folder.keep_best(write(folder, 1))
    folder.set_aside()
    assert (folder.files(), len(folder.earlier.files())) == ([], 1)
    assert load_state(tmp_path / "earlier/best.safetensors")[1]["value"] == 1
    with pytest.raises(FileNotFoundError, match="Those of the run before it are in .*earlier"):
        folder.newest()
    folder.set_aside()  # a run that was killed before its first
    assert len(folder.earlier.files()) == 1
    write(folder, 2)
    assert not folder.earlier.path.exists()
    folder.set_aside()
    write(folder.earlier, 3)
    write(folder.earlier, 4)
    save_state(tmp_path / "checkpoint-000009.safetensors", tensors={}, meta={})
    folder.set_aside()
    assert [p.stem for p in folder.earlier.files()] == ["checkpoint-000009"]


def test_files_of_others_stay_with_what_is_set_aside(tmp_path):
    folder = CheckpointFolder(tmp_path)
    write(folder, 1)
    folder.set_aside()
    (folder.earlier.path / "mine.txt").write_text("")
    write(folder, 2)
    assert [p.name for p in folder.earlier.path.iterdir()] == ["mine.txt"]


def test_a_best_one_that_cannot_be_kept_leaves_no_half(tmp_path, monkeypatch):
    def half(source, target):
        target.write_bytes(b"half")
        raise OSError("full")

    monkeypatch.setattr("pathlib.Path.hardlink_to", lambda self, target: half(target, self))
    monkeypatch.setattr("shutil.copyfile", half)
    folder = CheckpointFolder(tmp_path)
    path = write(folder, 1)
    with pytest.raises(OSError, match="full"):
        folder.keep_best(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_has_begun_until_all_is_removed(tmp_path):
    folder = CheckpointFolder(tmp_path / "deep/kept")
    assert not folder.begun.exists()
    folder.begin()
    folder.begin()
    assert folder.begun.exists()
    write(folder, 1)
    folder.set_aside()
    folder.remove()
    assert not folder.path.exists()


def test_what_was_killed_in_mid_writing_is_removed_and_all_if_asked(tmp_path):
    folder = CheckpointFolder(tmp_path / "kept")
    folder.keep_best(write(folder, 1))
    parts = [".checkpoint-000002.safetensors.123.part", ".best.safetensors.part"]
    for name in [*parts, "mine.txt"]:
        (folder.path / name).write_text("half")
    folder.tidy()
    left = {"checkpoint-000001.safetensors", "best.safetensors", "mine.txt"}
    assert {p.name for p in folder.path.iterdir()} == left
    folder.remove()
    assert [p.name for p in folder.path.iterdir()] == ["mine.txt"]
    (folder.path / "mine.txt").unlink()
    folder.remove()
    assert not folder.path.exists()
    CheckpointFolder(tmp_path / "none").remove()
