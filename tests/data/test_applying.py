"""Files moved as decided, and moved back: nothing lost, whatever happens in between."""

import os
import pathlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from presize.core.errors import DataError
from presize.data.applying import apply_decisions, dropped_folder, undo_moves
from presize.data.decisions import Decisions


def tree(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder, and its folders, with what is in them."""
    found = sorted(folder.rglob("*"))
    return {p.relative_to(folder).as_posix(): p.read_bytes() if p.is_file() else b"" for p in found}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Files `a` to `c` of two classes, and decisions about four of the six beside the folder."""
    root = tmp_path / "box/data"
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for name in "abc":
            (root / label / f"{name}.jpg").write_text(f"{label} {name}")
    made = Decisions(tmp_path / "d.csv", root=root)
    made.decide("cat/a.jpg", "drop", reason="duplicate")
    made.decide("cat/b.jpg", "relabel", label="dog", given="cat")
    made.decide("dog/c.jpg", "relabel", label="fox", given="dog")
    made.decide("dog/a.jpg", "keep")
    return root


def csv_of(data: Path) -> Decisions:
    return Decisions(data.parents[1] / "d.csv", root=data)


def test_files_move_as_decided_and_back_again(data):
    before, rows = tree(data.parent), dict(csv_of(data))
    made = apply_decisions(csv_of(data), data)
    assert len(made.moved) == 3 and not made.left and not made.resumed
    after = tree(data.parent)
    assert after["data-dropped/cat/a.jpg"] == b"cat a"
    assert after["data/dog/b-2.jpg"] == b"cat b"  # dog/b.jpg is another picture
    assert after["data/fox/c.jpg"] == b"dog c"
    assert "data/cat/a.jpg" not in after and after["data/dog/b.jpg"] == b"dog b"
    assert [row.decision for row in csv_of(data).values()] == ["keep"]

    back = undo_moves(data, csv_of(data))
    assert len(back.moved) == 3 and not back.left
    assert tree(data.parent) == before and dict(csv_of(data)) == rows


def test_what_was_moved_at_several_times_is_all_taken_back(data):
    before = tree(data.parent)
    apply_decisions(csv_of(data), data)
    csv_of(data).decide("fox/c.jpg", "drop")
    csv_of(data).decide("dog/b-2.jpg", "drop")
    (data / "cat/a.jpg").write_text("another")
    csv_of(data).decide("cat/a.jpg", "drop")
    apply_decisions(csv_of(data), data)
    dropped = tree(data.parent / "data-dropped")
    assert dropped["cat/a.jpg"] == b"cat a" and dropped["cat/a-2.jpg"] == b"another"
    back = undo_moves(data, csv_of(data))
    # Of the two pictures that were `cat/a.jpg` one has its name again; the other stays.
    assert [name for name, _ in back.left] == [str(data.parent / "data-dropped/cat/a.jpg")]
    assert (data / "cat/a.jpg").read_text() == "another"
    (data / "cat/a.jpg").unlink()
    undo_moves(data, csv_of(data))
    assert tree(data.parent) == before


def cleared(folder: Path) -> dict[str, bytes]:
    """Return the tree without what a killed process may leave: a half file, an empty folder."""
    for part in folder.rglob(".*.part"):
        part.unlink()
    for empty in ("data/fox", "data-dropped/cat", "data-dropped"):
        if (folder / empty).is_dir():
            (folder / empty).rmdir()
    return tree(folder)


class Killed(BaseException):
    """Stands for the end of the process."""


def killed_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """End it at the n-th change of the disk, half of the time before it and half after it."""
    left = step

    def ending(change):
        def changed(self, *args, **options):
            nonlocal left
            left -= 1
            if left < -1 or (left == -1 and step % 2):
                raise Killed  # and nothing that would run after it changes anything
            result = change(self, *args, **options)
            if left == -1:
                raise Killed
            return result

        return changed

    for name in ("rename", "replace", "unlink", "mkdir", "rmdir"):
        monkeypatch.setattr(pathlib.Path, name, ending(getattr(pathlib.Path, name)))


@pytest.mark.parametrize("then", ["apply", "undo"])
def test_killed_at_any_point_it_can_be_finished_and_undone(data, monkeypatch, then):
    before, rows = tree(data.parent), dict(csv_of(data))
    for step in range(60):
        with monkeypatch.context() as patched:
            killed_at(patched, step)
            try:
                apply_decisions(csv_of(data), data)
            except Killed:
                pass
            else:
                break
        if then == "apply":
            apply_decisions(csv_of(data), data)
            assert (data / "fox/c.jpg").exists() and (data / "dog/b-2.jpg").exists()
            assert set(csv_of(data)) == {"dog/a.jpg"}
        if (data.parent / "data-dropped").exists() and any(
            (data.parent / "data-dropped").glob("*.json")
        ):
            undo_moves(data, csv_of(data))
        assert cleared(data.parent) == before
        assert dict(csv_of(data)) == rows
    assert 10 < step < 59


def test_killed_while_it_takes_back_it_can_be_ended(data, monkeypatch):
    before, rows = tree(data.parent), dict(csv_of(data))
    for step in range(60):
        apply_decisions(csv_of(data), data)
        with monkeypatch.context() as patched:
            killed_at(patched, step)
            try:
                undo_moves(data, csv_of(data))
            except Killed:
                pass
            else:
                break
        left = list((data.parent / "data-dropped").glob("*.json"))
        if left and b'"undoing"' in left[0].read_bytes():
            with pytest.raises(DataError, match="has been begun and not ended"):
                apply_decisions(csv_of(data), data)
        if left:
            undo_moves(data, csv_of(data))
        assert cleared(data.parent) == before and dict(csv_of(data)) == rows
    assert 8 < step < 59


@pytest.mark.skipif(sys.platform == "win32", reason="the test kills as POSIX does")
def test_a_process_that_is_really_killed_loses_nothing(tmp_path):
    root = tmp_path / "data"
    rows = [f"{label}/{i}.jpg" for label in ("cat", "dog") for i in range(20)]
    for name in rows:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    lines = "".join(f"{name},drop\n" for name in rows[:30])
    (tmp_path / "d.csv").write_text("file,decision\n" + lines)
    before = tree(tmp_path)
    code = (
        "import os, pathlib, signal, sys\n"
        "from presize.data.applying import apply_decisions\n"
        "from presize.data.decisions import Decisions\n"
        "rename, count = pathlib.Path.rename, iter(range(12))\n"
        "def killing(self, to):\n"
        "    if next(count) == 11: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return rename(self, to)\n"
        "pathlib.Path.rename = killing\n"
        "apply_decisions(Decisions(sys.argv[2], sys.argv[1]), sys.argv[1])\n"
    )
    command = [sys.executable, "-c", code, str(root), str(tmp_path / "d.csv")]
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(command, check=False, env=os.environ | paths)
    assert ended.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "data-dropped").rglob("*.jpg"))) == 11
    made = apply_decisions(Decisions(tmp_path / "d.csv", root), root)
    assert made.resumed and len(made.moved) == 30
    assert len(list((tmp_path / "data-dropped").rglob("*.jpg"))) == 30
    undo_moves(root, Decisions(tmp_path / "d.csv", root))
    after = tree(tmp_path)
    assert {k: v for k, v in after.items() if k != "d.csv"} == {
        k: v for k, v in before.items() if k != "d.csv"
    }
    assert len(Decisions(tmp_path / "d.csv")) == 30


def test_nothing_is_overwritten(data, monkeypatch):
    apply_decisions(csv_of(data), data)
    (data / "cat/b.jpg").write_text("new")
    back = undo_moves(data, csv_of(data))
    assert [why for _, why in back.left] == [f"`{data / 'cat/b.jpg'}` is there already"]
    assert (data / "cat/b.jpg").read_text() == "new"
    assert (data / "dog/b-2.jpg").read_text() == "cat b"


def test_what_cannot_be_moved_stays_and_is_told(data):
    made, root = csv_of(data), data
    (root / "cat/link.jpg").symlink_to(root / "dog/a.jpg")
    (root.parent / "far").mkdir()
    (root.parent / "far/f.jpg").touch()
    (root / "way").symlink_to(root.parent / "far")
    (root / "flat.jpg").touch()
    for file in ("cat/none.jpg", "../box/data-x/a.jpg", "/etc/hosts", "way/f.jpg", "cat"):
        made.decide(file, "drop")
    made.decide("cat/c.jpg", "relabel", label="../../evil", given="cat")
    made.decide("dog/b.jpg", "relabel", label="fox", given="striped")
    made.decide("flat.jpg", "relabel", label="dog")
    made.decide("cat/link.jpg", "drop")
    told = apply_decisions(made, root)
    left = dict(told.left)
    assert left["cat/none.jpg"] == "it is not there"
    assert left["/etc/hosts"] == f"it is not below `{root}`" == left["../box/data-x/a.jpg"]
    assert left["way/f.jpg"] == f"a link leads to it, out of `{root}`"
    assert left["cat"] == "it is a folder"
    assert left["cat/c.jpg"] == "`../../evil` is no name for a folder of a class"
    assert left["dog/b.jpg"].startswith("its label is not the name of its folder")
    assert left["flat.jpg"].startswith("its label is not the name of its folder")
    assert len(left) == 8 and len(told.moved) == 4
    moved = root.parent / "data-dropped/cat/link.jpg"
    assert moved.is_symlink() and (root / "dog/a.jpg").exists()
    assert set(left) <= set(csv_of(data))  # they are still to be done


def test_train_and_valid_keep_their_sides(tmp_path):
    root = tmp_path / "data"
    for name in ("train/cat/1.jpg", "train/dog/1.jpg", "valid/cat/1.jpg", "valid/dog/2.jpg"):
        (root / name).parent.mkdir(parents=True)
        (root / name).touch()
    made = Decisions(tmp_path / "d.csv", root)
    made.decide("valid/cat/1.jpg", "relabel", label="dog")
    (root / "train/odd.jpg").touch()
    made.decide("train/odd.jpg", "relabel", label="dog")
    told = apply_decisions(made, root)
    assert (root / "valid/dog/1.jpg").exists() and [name for name, _ in told.left] == [
        "train/odd.jpg"
    ]


def test_a_folder_for_what_is_dropped_is_beside_the_data(data):
    assert dropped_folder(data) == data.parent / "data-dropped"
    with pytest.raises(DataError, match="is inside of the data"):
        dropped_folder(data, data / "dropped")
    with pytest.raises(DataError, match="There is no folder"):
        dropped_folder(data / "no")
    apply_decisions(csv_of(data), data, data.parent / "elsewhere")
    assert (data.parent / "elsewhere/cat/a.jpg").exists()
    undo_moves(data, None, data.parent / "elsewhere")
    assert not (data.parent / "elsewhere").exists() and (data / "cat/a.jpg").exists()


def test_without_moves_there_is_nothing_to_take_back(data):
    with pytest.raises(DataError, match="Nothing of .* has been moved: there is no journal"):
        undo_moves(data)
    csv_of(data).forget(*csv_of(data))
    assert not apply_decisions(csv_of(data), data).moved
    assert not (data.parent / "data-dropped").exists()


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "{}",
        '{"format": 9, "state": "done", "moves": [], "made": []}',
        '{"format": 1, "state": "done", "made": [], "moves": [{"row": {"file": "a", "decision": '
        '"drop"}, "old": ["data", "../../x"], "new": ["dropped", "a"]}]}',
        '{"format": 1, "state": "done", "made": [["data", "/etc"]], "moves": []}',
    ],
)
def test_a_damaged_or_forged_journal_moves_nothing(data, text):
    before = tree(data)
    (data.parent / "data-dropped").mkdir()
    (data.parent / "data-dropped/presize-moves-1.json").write_text(text)
    for do in (lambda: undo_moves(data), lambda: apply_decisions(csv_of(data), data)):
        with pytest.raises(DataError, match="presize-moves-1.json` cannot be read"):
            do()
    assert tree(data) == before


def test_another_disk_is_told_before_anything_moves(data, monkeypatch):
    real = pathlib.Path.stat

    def stat(self, **options):
        found = real(self, **options)
        if self == data:
            return os.stat_result([*found[:2], found.st_dev + 1, *found[3:]])
        return found

    monkeypatch.setattr(pathlib.Path, "stat", stat)
    with pytest.raises(DataError, match="is on another disk than the data"):
        dropped_folder(data)


def test_one_file_that_cannot_be_moved_does_not_hold_up_the_others(data, monkeypatch):
    before, rows = tree(data.parent), dict(csv_of(data))
    rename = pathlib.Path.rename

    def failing(self, to):
        if self == data / "cat/a.jpg":
            raise OSError(18, "Invalid cross-device link")
        return rename(self, to)

    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "rename", failing)
        made = apply_decisions(csv_of(data), data)
    assert len(made.moved) == 2 and csv_of(data)["cat/a.jpg"].decision == "drop"
    [(name, why)] = made.left
    assert name == "cat/a.jpg" and why.endswith("cat/a.jpg`: Invalid cross-device link")
    undo_moves(data, csv_of(data))
    assert tree(data.parent) == before and dict(csv_of(data)) == rows


def test_no_file_is_moved_out_of_the_data_by_a_link(data):
    (data.parent / "far").mkdir()
    (data / "fox").symlink_to(data.parent / "far")
    left = dict(apply_decisions(csv_of(data), data).left)
    assert left == {"dog/c.jpg": f"the folder `fox` is a link that leads out of `{data}`"}
    assert (data / "dog/c.jpg").exists() and not list((data.parent / "far").iterdir())
    (data.parent / "way").symlink_to(data)
    with pytest.raises(DataError, match="is inside of the data"):
        dropped_folder(data, data.parent / "way/dropped")


def test_a_label_that_is_too_long_for_a_folder_is_told(data):
    made = csv_of(data)
    made.decide("cat/c.jpg", "relabel", label="x" * 256, given="cat")
    told = apply_decisions(made, data)
    assert [name for name, _ in told.left] == ["cat/c.jpg"] and len(told.moved) == 3
