import sys
import warnings

import pytest

from presize import __version__
from presize.cli import main
from presize.core.errors import WeightsError
from presize.data.extras import extra_library


@pytest.fixture
def command(monkeypatch, capsys):
    """Run `presize ARGUMENTS` in this process: its exit code, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["presize", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capsys.readouterr()
        return exit_.value.code or 0, out, " ".join(err.split())

    return run


def test_help_names_the_commands(command):
    code, out, _ = command("--help")
    assert code == 0
    assert all(name in out for name in ("train", "predict", "info"))


def test_info_tells_version_device_and_place(command):
    code, out, _ = command("info")
    assert code == 0
    assert __version__ in out
    assert all(name in out for name in ("torch", "device", "files kept in"))


def test_a_command_line_that_is_wrong_exits_with_two(command):
    assert command("train")[0] == 2
    assert command("train", "digits", "--epoch", "many")[0] == 2


def test_a_folder_that_is_not_there_is_told_with_the_nearest(command, picture_folder):
    code, _, err = command("train", picture_folder.parent / "picture")
    assert code == 1
    assert err.startswith("presize: There is no folder `")
    assert "Did you mean `pictures`?" in err
    assert "one subfolder of pictures for each class" in err


def test_an_unknown_network_is_told_with_the_nearest(command, picture_folder, tmp_path):
    code, _, err = command(
        "train", picture_folder, "--arch", "resnet81", "--weights", "none", "--bs", 8,
        "--out", tmp_path / "o",
    )  # fmt: skip
    assert code == 1
    assert "`resnet81`" in err
    assert "Did you mean" in err


def test_missing_weights_are_told_with_the_options_of_the_command(
    command, picture_folder, tmp_path, monkeypatch
):
    def offline(*_, **__):
        raise WeightsError("The weights could not be fetched.")

    monkeypatch.setattr("presize.vision.learner.vision_learner", offline)
    code, _, err = command("train", picture_folder, "--bs", 8, "--out", tmp_path / "o")
    assert code == 1
    assert "could not be fetched. On the command line: --weights FILE, or --weights none" in err


def test_a_missing_model_file_is_told(command, tmp_path):
    code, _, err = command("predict", tmp_path / "pets.safetensors", tmp_path / "cat.jpg")
    assert code == 1
    assert "pets.safetensors" in err


def test_the_environment_can_ask_for_the_whole_traceback(monkeypatch):
    monkeypatch.setenv("PRESIZE_TRACEBACK", "1")
    monkeypatch.setattr(sys, "argv", ["presize", "train", "no/such/folder"])
    with pytest.raises(NotADirectoryError):
        main()


def test_a_warning_is_told_as_one_line(command, monkeypatch):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # put back afterwards
    command("--help")
    shown = warnings.formatwarning(UserWarning("too large"), UserWarning, "loader.py", 250)
    assert shown == "presize: too large\n"
    assert warnings.formatwarning(UserWarning("too large"), UserWarning, "x.py", 1) == "", "once"
    assert warnings.formatwarning(UserWarning("other"), UserWarning, "x.py", 1)


def test_a_missing_extra_is_told_with_how_to_get_it(command, tmp_path, monkeypatch):
    def without(*_, **__):
        extra_library("no_such_library", extra="hub", what="A hub")

    monkeypatch.setattr("presize.deploy.hub.push_to_hub", without)
    code, out, err = command("push", tmp_path / "m.safetensors", "me/photos")
    assert (code, out) == (1, "")
    assert err.startswith("presize: A hub needs the package no_such_library")
    assert err.endswith('pip install "presize[hub]"`.')
