"""Starting one process for each device."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from presize.cli import devices, main
from presize.core.errors import TrainingError


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("RANK", "WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT", "OMP_NUM_THREADS")
    for name in (*names, "PRESIZE_ERRORS", "PRESIZE_RESTARTS"):
        monkeypatch.setenv(name, "")  # so that what is set in a test goes with it
        monkeypatch.delenv(name)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[str]]]:
    """The processes that were started, of which none runs."""
    calls: list[tuple[int, list[str]]] = []

    def run(number: int, arguments: list[str]) -> None:
        calls.append((number, arguments))

    monkeypatch.setattr(devices, "run_together", run)
    monkeypatch.setattr(devices.os, "cpu_count", lambda: 16)
    return calls


def test_the_command_line_goes_to_each_process(
    started: list[tuple[int, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["presize", "train", "photos", "--devices", "4", "--lr", "0.1", "--max-restarts=2"]
    monkeypatch.setattr(sys, "argv", line)
    assert devices.launch(4, 2)
    [(number, arguments)] = started
    assert number == 4
    assert arguments == ["-u", "-m", "presize", "train", "photos", "--lr", "0.1"]
    assert os.environ["OMP_NUM_THREADS"] == "4", "they share the cores"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["train", "d", "--devices=2", "--resume"], ["train", "d", "--resume"]),
        (["--max-restarts", "1", "train", "--devices", "3"], ["train"]),
        (["train", "devices", "--out", "devices"], ["train", "devices", "--out", "devices"]),
    ],
)
def test_what_is_for_the_launcher_is_left_out(given: list[str], kept: list[str]) -> None:
    assert devices.without_launching(given) == kept


@pytest.mark.parametrize("number", [None, 1])
def test_one_device_needs_no_launcher(
    number: int | None, started: list[tuple[int, list[str]]]
) -> None:
    assert not devices.launch(number, 1)
    assert not started


def dying(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str], lives: int = 9
) -> list[str | None]:
    """Let processes die that have said this, until they are started once too often to die."""
    starts: list[str | None] = []

    def run(number: int, arguments: list[str]) -> str | None:
        starts.append(os.environ["PRESIZE_RESTARTS"])
        for rank, text in said.items():
            (Path(os.environ["PRESIZE_ERRORS"]) / rank).write_text(text, encoding="utf-8")
        return "Process 1 of 2 was ended by SIGKILL" if len(starts) <= lives else None

    monkeypatch.setattr(devices, "run_together", run)
    return starts


def test_an_error_of_the_user_is_told_once_and_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starts = dying(monkeypatch, {"1": "no file x", "0": "no file x"})
    with pytest.raises(TrainingError, match=r"^no file x$"):
        devices.launch(2, 3)
    assert starts == ["0"]


def test_errors_that_differ_are_all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    dying(monkeypatch, {"1": "no GPU 1", "0": "disk full"})
    with pytest.raises(TrainingError, match=r"^disk full\nno GPU 1$"):
        devices.launch(2, 3)


def test_processes_that_died_are_started_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = dying(monkeypatch, {}, lives=1)
    assert devices.launch(2, 3)
    assert starts == ["0", "1"]
    assert capsys.readouterr().err == (
        "presize: Process 1 of 2 was ended by SIGKILL. All start again, from the last checkpoint "
        "(1 of 3).\n"
    )


def test_they_are_not_started_without_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = dying(monkeypatch, {})
    with pytest.raises(typer.Exit) as ended:
        devices.launch(2, 1)
    assert (starts, ended.value.exit_code) == (["0", "1"], 1)
    assert capsys.readouterr().err.endswith("--resume goes on from the last checkpoint.\n")


@pytest.fixture
def handlers() -> Iterator[None]:
    """PyTorch's launcher puts its own in their place."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


KILLED = "import os, signal\nif os.environ['RANK'] == '1': os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("program", "died"),
    [
        ("pass", None),
        (
            "import os; raise SystemExit(3 * int(os.environ['RANK']))",
            "1 of 2 ended with exit code 3",
        ),
        (KILLED, "1 of 2 was ended by SIGKILL"),
    ],
)
def test_which_process_died_is_told(
    program: str, died: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    assert devices.run_together(2, ["-c", program]) == (died and f"Process {died}")
    assert capfd.readouterr().err == ""


def test_a_signal_ends_the_command_as_it_would_one_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launcher = pytest.importorskip("torch.distributed.launcher.api")
    elastic = pytest.importorskip("torch.distributed.elastic.multiprocessing")

    def interrupted(*_: str) -> None:
        raise elastic.SignalException("passed on to all", signal.SIGTERM)

    monkeypatch.setattr(launcher, "elastic_launch", lambda *_: interrupted)
    with pytest.raises(SystemExit) as ended:
        devices.run_together(2, [])
    assert ended.value.code == 128 + 15


@pytest.mark.parametrize("traceback", ["", "1"])
def test_a_launched_process_leaves_its_error_to_the_launcher(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    traceback: str,
) -> None:
    monkeypatch.setenv("PRESIZE_TRACEBACK", traceback)
    monkeypatch.setattr(sys, "argv", ["presize", "train", str(tmp_path / "nowhere")])
    told = {"RANK": "1", "WORLD_SIZE": "2", "PRESIZE_ERRORS": str(tmp_path)}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(NotADirectoryError if traceback else SystemExit):
        main()
    assert (tmp_path / "1").read_text(encoding="utf-8").startswith("There is no folder `")
    assert capsys.readouterr().err == ""


def test_an_error_that_cannot_be_left_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ValueError("wrong")
    assert not devices.left_to_launcher(error)
    monkeypatch.setenv("PRESIZE_ERRORS", str(tmp_path / "gone"))
    assert not devices.left_to_launcher(error), "not launched, but called from such a process"
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "1")
    assert not devices.left_to_launcher(error)


def test_no_launcher_within_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"--devices 4 starts processes, .* as one of 2. Leave"):
        devices.launch(4, 1)


def test_a_process_knows_that_another_one_died(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not devices.started_again()
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    assert not devices.started_again()
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "2")
    assert devices.started_again(), "by torchrun"
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    monkeypatch.setenv("PRESIZE_RESTARTS", "1")
    assert devices.started_again(), "by --devices"


def test_the_options_are_those_of_a_command() -> None:
    seen: list[tuple[int | None, int]] = []
    app = typer.Typer()

    @app.command()
    def train(number: devices.Devices = None, again: devices.Restarts = 1) -> None:
        seen.append((number, again))

    assert CliRunner().invoke(app, ["--number", "2", "--max-restarts", "3"]).exit_code == 0
    assert CliRunner().invoke(app, ["--number", "0"]).exit_code == 2
    assert seen == [(2, 3)]


def test_the_package_is_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "presize", "info", "--help"], capture_output=True, check=False
    )
    assert done.returncode == 0
    assert b"Usage" in done.stdout
