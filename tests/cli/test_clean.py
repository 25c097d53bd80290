"""`presize clean` as it is called: the page, the CSV, files moved and put back."""

import json
import os
import shlex
import shutil
import signal
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
import typer

from presize.cli.clean import clean
from presize.core.errors import DataError
from presize.data.decisions import Decisions


@pytest.fixture
def folder(picture_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Pictures, one broken and one there twice."""
    (picture_folder / "train/cat/bad.jpg").write_bytes(b"nothing")
    shutil.copy(picture_folder / "train/cat/0.jpg", picture_folder / "train/cat/twice.jpg")
    monkeypatch.chdir(tmp_path)
    return picture_folder


@pytest.fixture
def run(capsys):
    """Call the command in this process: its exit code, output and errors."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(clean)

    def called(*arguments):
        code = app([*map(str, arguments)], standalone_mode=False) or 0
        out, err = capsys.readouterr()
        return code, out, err

    return called


def said(url: str, path: str, told: dict) -> dict:
    body, headers = json.dumps(told).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(url + path, body, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_it_serves_until_done_and_then_says_what_to_do(run, folder, monkeypatch):
    opened = []

    def decide(url):
        opened.append(url)
        said(url, "decide", {"changes": [{"id": 0, "decision": "drop"}]})
        threading.Timer(0.05, said, (url, "done", {})).start()

    monkeypatch.setattr("webbrowser.open", decide)
    code, out, _ = run(folder)
    assert code == 0 and out.startswith("3 of 38 pictures to look at: 1 unreadable, 2 duplicate.")
    assert f"at {opened[0]}" in out and "1 of 3 decided (1 drop), in decisions.csv." in out
    assert f"presize clean {folder} --out decisions.csv --apply" in out
    assert list(Decisions.read("decisions.csv")) == ["train/cat/bad.jpg"]

    code, out, _ = run(folder, "--apply")
    assert (code, "1 file moved to" in out) == (0, True)
    assert not (folder / "train/cat/bad.jpg").exists()
    assert (folder.parent / "pictures-dropped/train/cat/bad.jpg").read_bytes() == b"nothing"
    code, out, _ = run(folder, "--undo")
    assert (code, out) == (0, "1 file put back.\n")
    assert (folder / "train/cat/bad.jpg").exists()
    assert not (folder.parent / "pictures-dropped").exists()
    assert Decisions.read("decisions.csv")["train/cat/bad.jpg"].decision == "drop"


def test_after_files_were_moved_a_missing_csv_is_told_all_the_same(run, folder):
    Decisions("decisions.csv", folder).decide("train/cat/bad.jpg", "drop")
    run(folder, "--apply")
    with pytest.raises(DataError, match="There are no decisions `typo.csv`"):
        run(folder, "--apply", "--out", "typo.csv")


def test_the_command_that_moves_can_be_pasted(run, folder, monkeypatch):
    odd = folder.rename(folder.with_name("my pictures"))
    Decisions("my own.csv", odd).decide("train/cat/bad.jpg", "drop")
    monkeypatch.setattr("webbrowser.open", lambda url: said(url, "done", {}))
    _, out, _ = run(odd, "--out", "my own.csv")
    assert "DataBlock(..., decisions='my own.csv')" in out
    command = shlex.split(out.splitlines()[-1].removeprefix("Or move the files: "))
    assert command == ["presize", "clean", str(odd), "--out", "my own.csv", "--apply"]


def test_what_is_not_moved_is_told_and_exits_with_one(run, folder):
    Decisions("decisions.csv", folder).decide("train/cat/none.jpg", "drop")
    code, out, err = run(folder, "--apply")
    assert code == 1 and "0 files moved" in out
    assert "not moved: train/cat/none.jpg: it is not there" in err


def test_sound_data_opens_no_page(run, picture_folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("webbrowser.open", pytest.fail)
    assert run(picture_folder) == (0, "Nothing looks wrong with these 36 pictures.\n", "")


def test_wrong_arguments_are_told(run, folder):
    with pytest.raises(typer.BadParameter, match="contradict each other"):
        run(folder, "--apply", "--undo")
    with pytest.raises(NotADirectoryError, match="There is no folder"):
        run(folder / "no")
    with pytest.raises(DataError, match="There are no decisions `decisions.csv`"):
        run(folder, "--apply")
    with pytest.raises(DataError, match="Nothing of .* has been moved"):
        run(folder, "--undo")
    with pytest.raises(typer.BadParameter, match="give --model, too"):
        run(folder, "--pattern", r"(.+)_")
    Path("labels.csv").write_text("fname,label\n1.jpg,cat\n")
    with pytest.raises(DataError, match=r"labels.csv`, line 1: there is no column `file`"):
        run(folder, "--out", "labels.csv", "--no-browser")
    assert Path("labels.csv").read_text() == "fname,label\n1.jpg,cat\n"


@pytest.mark.skipif(sys.platform == "win32", reason="the test sends Ctrl-C as POSIX does")
def test_ctrl_c_ends_it_and_what_was_decided_stays(run, folder, monkeypatch):
    def decide(url):
        said(url, "decide", {"changes": [{"id": 1, "decision": "keep"}]})
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    monkeypatch.setattr("webbrowser.open", decide)
    code, out, err = run(folder)
    assert (code, err) == (0, "")
    assert "1 of 3 decided (1 keep), in decisions.csv." in out
    assert len(Decisions.read("decisions.csv")) == 1
