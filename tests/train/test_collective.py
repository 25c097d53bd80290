"""What two processes say of their shares of the data, against one process that sees it all."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from presize.train.collective import all_cat, all_parts, all_sum, world_size

WORKER = Path(__file__).with_name("collective_worker.py")
SOURCE = Path(__file__).resolve().parents[2] / "src"
alike: dict[str, Any] = runpy.run_path(str(WORKER), run_name="worker")

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="PyTorch was built without gloo",
)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes has found."""
    folder = tmp_path_factory.mktemp("ranks")
    files = [folder / f"{rank}.json" for rank in range(2)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(rank), "2", str(folder / "meeting"), str(file)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, file in enumerate(files)
    ]
    try:
        said = [process.communicate(timeout=120)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def test_both_processes_have_the_same_bits(answers: list[dict[str, Any]]) -> None:
    assert answers[0]["world"] == 2
    assert answers[0] == answers[1]


@pytest.mark.parametrize("split", alike["SPLITS"])
def test_metrics_are_those_of_one_process(answers: list[dict[str, Any]], split: str) -> None:
    given = alike["batches"](0, alike["N"])
    if split == "uneven":  # batches are cut anew where the share of a process begins
        given = alike["batches"](0, 25) + alike["batches"](25, 33)
    expected = {name: alike["value_of"](m, given) for name, m in alike["metrics"]().items()}
    assert len(expected) >= 11
    assert None not in expected.values()
    assert answers[0][split] == pytest.approx(expected, rel=1e-12)


def test_the_threads_of_the_group_end_with_it(answers: list[dict[str, Any]]) -> None:
    """One that is busy when Python ends aborts the process; torchmetrics was imported within."""
    assert [answer["threads"] for answer in answers] == [[], []]


def test_nothing_at_all(answers: list[dict[str, Any]]) -> None:
    assert set(answers[0]["nothing at all"].values()) == {None}


def test_the_running_loss_is_that_of_the_mean_of_both(answers: list[dict[str, Any]]) -> None:
    losses = [batch.loss for batch in alike["batches"](0, 28)]
    running, expected = 0.0, []
    for epoch in range(2):
        for at in (0, 2):
            mean = float(losses[at] + losses[at + 1]) / 2 + epoch
            running = 0.5 * running + 0.5 * mean
        expected.append(running / (1 - 0.5 ** (2 * epoch + 2)))
    assert answers[0]["smooth"] == pytest.approx(expected, rel=1e-5)


def test_tensors_of_any_length_and_kind(answers: list[dict[str, Any]]) -> None:
    kinds = len(alike["DTYPES"])
    assert answers[0]["joined"][:kinds] == [""] * kinds
    assert answers[0]["joined"][kinds:] == [
        str(torch.ones(2, 3)),
        "None",
        str(torch.empty(0, 4)),
        "[[4.0, 4.0]]",
    ]


def test_what_cannot_be_combined_is_said(answers: list[dict[str, Any]]) -> None:
    own, sloppy, mixed, foreign = answers[0]["errors"]
    assert own == (
        "The metric `largest` cannot be combined over 2 processes: Largest has no gather(self) "
        "that goes with its reset. Write one, with all_sum and all_cat of "
        "presize.train.collective; or leave the metric out."
    )
    assert "Sloppy has no gather(self) that goes with its reset" in sloppy
    assert "figures of different kinds for one metric: [2, 3] float32; [2, 4] float64." in mixed
    assert "The metric `foreign` cannot be combined over 2 processes: Foreign has no" in foreign


def test_one_process_sends_nothing() -> None:
    t = torch.randn(3)
    assert world_size() == 1
    assert all_sum(t) is t
    assert all_cat(t) is t
    assert all_cat(None) is None
    assert (all_parts(t)[0] is t, all_parts(None)) == (True, [])
    alike["Largest"]().gather()  # which needs none then
