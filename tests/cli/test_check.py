"""`presize check` as it is called: output, JSON and exit codes."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from presize.cli import main


@pytest.fixture
def command(monkeypatch, capsys):
    """Run `presize check ARGUMENTS` in this process: its exit code, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["presize", "check", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capsys.readouterr()
        return exit_.value.code or 0, out, err

    return run


@pytest.fixture
def breeds(pets_path: Path, tmp_path: Path) -> Path:
    """Real photos of two breeds, six each."""
    for breed in ("beagle", "pug"):
        (tmp_path / "breeds" / breed).mkdir(parents=True)
        for file in sorted(pets_path.glob(f"{breed}_*.jpg"))[:6]:
            shutil.copy(file, tmp_path / "breeds" / breed)
    return tmp_path / "breeds"


def test_sound_data_is_told_and_exits_with_zero(command, breeds):
    code, out, err = command(breeds)
    assert (code, err) == (0, "")
    assert out.startswith("12 pictures in 2 classes")
    assert "Nothing is wrong with this data." in out


def test_a_problem_exits_with_one(command, breeds):
    (breeds / "pug/bad.jpg").write_bytes(b"")
    code, out, _ = command(breeds)
    assert code == 1
    assert "problem: 1 picture of 13 cannot be read." in out
    assert "pug/bad.jpg: it is empty (0 bytes)" in out


def test_a_warning_exits_with_one_if_asked_to(command, breeds):
    (breeds / "empty").mkdir()
    code, out, _ = command(breeds)
    assert code == 0
    assert "warning: 1 class folder has no pictures." in out
    assert command(breeds, "--strict")[0] == 1


def test_json_is_all_that_is_printed(command, breeds, tmp_path):
    (breeds / "pug/bad.jpg").write_bytes(b"")
    code, out, err = command(breeds, "--json", "--output", tmp_path / "report.json")
    assert (code, err) == (1, "")
    told = json.loads(out)
    assert told["unreadable"][0]["picture"].endswith("bad.jpg")
    assert json.loads((tmp_path / "report.json").read_text()) == told


def test_copies_need_not_be_looked_for(command, breeds):
    file = next((breeds / "pug").iterdir())
    Image.open(file).convert("RGB").save(breeds / "beagle/copy.jpg", quality=50)
    assert command(breeds, "--threads", 1)[0] == 1
    code, out, _ = command(breeds, "--identical-only")
    assert code == 0
    assert "Nothing is wrong" in out


def test_the_help_tells_the_exit_codes(command):
    code, out, _ = command("--help")
    assert code == 0
    text = " ".join(out.split())
    assert "Exits with 0 if nothing would harm" in text
    assert "with 1 after a problem" in text


def test_a_folder_that_is_not_there_is_told(command, breeds):
    code, out, err = command(breeds.parent / "breed")
    assert (code, out) == (1, "")
    assert "Did you mean `breeds`?" in err


def test_the_place_of_the_report_is_checked_before_the_work(command, breeds, tmp_path):
    code, out, err = command(breeds, "--output", tmp_path / "no/such/report.json")
    assert code == 1
    assert out == ""
    assert "no/such" in err.replace("\n", "")
