"""Starting one process for each device."""

import subprocess
import sys
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from presize.cli import devices


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, Any]]]:
    """The commands that were started, of which none runs."""
    calls: list[tuple[list[str], dict[str, Any]]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        calls.append((command, options))
        return subprocess.CompletedProcess(command, returncode=0 if "train" in command else 1)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(devices.os, "cpu_count", lambda: 16)
    return calls


def test_the_command_line_goes_to_each_process(
    started: list[tuple[list[str], dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["presize", "train", "photos", "--devices", "4", "--lr", "0.1", "--max-restarts=2"]
    monkeypatch.setattr(sys, "argv", line)
    assert devices.launch(4, 2)
    [(command, options)] = started
    assert command[:4] == [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    assert command[4:8] == ["--nproc-per-node", "4", "--max-restarts", "2"]
    assert command[8:] == ["-m", "presize", "train", "photos", "--lr", "0.1"]
    assert options["env"]["OMP_NUM_THREADS"] == "4", "they share the cores"
    assert "shell" not in options


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
    number: int | None, started: list[tuple[list[str], dict[str, Any]]]
) -> None:
    assert not devices.launch(number, 1)
    assert not started


def test_an_error_of_the_processes_is_one_of_the_command(
    started: list[tuple[list[str], dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["presize", "tarin"])
    with pytest.raises(typer.Exit) as ended:
        devices.launch(2, 0)
    assert ended.value.exit_code == 1


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
    assert devices.started_again()


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
