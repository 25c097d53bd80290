"""Two processes that train one model, against one process with the doubled batch."""

import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

WORKER = Path(__file__).with_name("distribution_worker.py")
SOURCE = Path(__file__).resolve().parents[1] / "src"
# The sum over a batch is added up in another order: a few units in the last place of float32.
TOLERANCE = 1e-6
alike: dict[str, Any] = runpy.run_path(str(WORKER), run_name="worker")

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="PyTorch was built without gloo",
)


def environment() -> dict[str, str]:
    """That of a process without ranks, which finds this package."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TORCHELASTIC")}
    return {**clean, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}


def pair(*arguments: str) -> list[subprocess.Popen[str]]:
    """Two processes as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    return [
        subprocess.Popen(
            [sys.executable, str(WORKER), *arguments],
            env={**environment(), **meeting, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def ended(processes: list[subprocess.Popen[str]]) -> list[str]:
    """What the processes wrote into stderr; they are killed if they take too long."""
    try:
        return [process.communicate(timeout=90)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes has found."""
    folder = tmp_path_factory.mktemp("ranks")
    processes = pair(str(folder))
    said = ended(processes)
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    return [json.loads((folder / f"{r}.json").read_text(encoding="utf-8")) for r in range(2)]


@pytest.mark.parametrize("name", alike["SCENARIOS"])
def test_two_processes_are_one_with_the_doubled_batch(
    found: list[dict[str, Any]], name: str
) -> None:
    first, second = (ranks[name] for ranks in found)
    assert first == second, "all processes have the same weights and see the same figures"
    one = alike["SCENARIOS"][name](1)
    assert len(first["weights"]) == len(one["weights"])
    for got, expected in zip(first["weights"], one["weights"], strict=True):
        np.testing.assert_allclose(got, expected, atol=TOLERANCE)
    np.testing.assert_allclose(first["losses"], one["losses"], atol=TOLERANCE)
    np.testing.assert_allclose(first["values"], one["values"], atol=TOLERANCE)


def test_validation_counts_each_item_once(found: list[dict[str, Any]]) -> None:
    first, one = found[0]["two_epochs"], alike["two_epochs"](1)
    np.testing.assert_allclose(first["checked"], one["checked"], atol=TOLERANCE)
    np.testing.assert_allclose(first["of_train"], one["of_train"], atol=TOLERANCE)
    # A hit is a whole number of 13 items: shares that were counted twice would show.
    assert first["checked"][1] * 13 == pytest.approx(round(first["checked"][1] * 13), abs=1e-5)


def test_predictions_are_whole_in_every_process(found: list[dict[str, Any]]) -> None:
    assert [ranks["two_epochs"]["whole"] for ranks in found] == [[13, 13], [13, 13]]


def test_a_rate_is_found_by_all(found: list[dict[str, Any]]) -> None:
    one = alike["looked_for"](1)
    assert found[0]["looked_for"]["rate"] == pytest.approx(one["rate"], rel=1e-4)


def test_a_limit_of_time_ends_all_after_the_same_step(found: list[dict[str, Any]]) -> None:
    first, second = (ranks["limited"] for ranks in found)
    assert first == second
    assert 10 < len(first["losses"]) < 30_000


def test_leaving_gives_everything_back(found: list[dict[str, Any]]) -> None:
    items, world, cbs = found[0]["two_epochs"]["after"]
    alone = alike["learner"](1)
    assert (items, world, cbs) == (32, 1, len(alone.cbs)), "29 items in batches of 4"
    assert all(found[0]["sharded"]["same"]), "the parameters are the same objects again"


def test_errors_say_what_to_do(found: list[dict[str, Any]]) -> None:
    data, saving, norms = found[0]["errors"]["said"]
    assert found[1]["errors"] == found[0]["errors"]
    assert data == (
        "Processes that train together need the same data, but process 0 has 4 batches of 29 "
        "items; process 1 has 6 batches of 45 items. Do all of them see the same files, and split "
        "them with the same seed?"
    )
    assert saving.startswith("With fsdp=True no process has the whole model, which Checkpoints")
    assert norms.startswith("sync_bn=True needs GPUs")


def test_one_loader_is_divided_for_training_and_for_validation(
    found: list[dict[str, Any]],
) -> None:
    first, second = (ranks["both"] for ranks in found)
    assert first == second
    assert len(first["losses"]) == 2 * 2
    for _, _, accuracy, _ in first["values"]:
        assert accuracy * 17 == pytest.approx(round(accuracy * 17), abs=1e-5)


def test_training_in_an_except_block_is_training(found: list[dict[str, Any]]) -> None:
    first, second = (ranks["retried"] for ranks in found)
    assert first == second, "running averages, too"


def test_each_block_draws_otherwise_in_each_process(found: list[dict[str, Any]]) -> None:
    first, second = (ranks["drawn"]["drawn"] for ranks in found)
    assert first[:2] == first[2:] and second[:2] == second[2:], "the seed is the same"
    assert len({*first, *second}) == 4
    torch.manual_seed(3)
    assert first[:2] == torch.rand(2).tolist(), "the first draws as it would alone"


def test_items_that_a_sampler_gives_twice_are_told(found: list[dict[str, Any]]) -> None:
    first, second = (ranks["padded"] for ranks in found)
    [said] = first["said"]
    assert said.startswith("The DistributedSampler gives 14 of 13 items, some twice")
    assert not second["said"] and not first["more"]
    one = list(alike["learner"](1).validate())
    np.testing.assert_allclose(first["whole"], one, atol=TOLERANCE)


def test_a_killed_process_ends_the_job(tmp_path: Path) -> None:
    processes = pair(str(tmp_path), "killed")
    said = ended(processes)
    assert processes[1].returncode == -9
    assert processes[0].returncode == 1
    assert "RuntimeError" in said[0] or "DistBackendError" in said[0], said[0]


def test_the_job_is_started_again_from_its_last_checkpoint(
    tmp_path: Path, found: list[dict[str, Any]]
) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    options = ["--nproc-per-node", "2", "--max-restarts", "1", "--monitor-interval", "0.1"]
    done = subprocess.run(
        [*launcher, *options, str(WORKER), str(tmp_path), "killed"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "exitcode: -9" in done.stderr, done.stderr
    for rank in range(2):
        again = json.loads((tmp_path / f"{rank}.json").read_text(encoding="utf-8"))
        whole = found[rank]["two_epochs"]
        # To the bit: JSON holds all digits.
        assert again["weights"] == whole["weights"]
        assert again["losses"] == whole["losses"]
        assert again["values"] == whole["values"]


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    learn = alike["learner"](1)
    with alike["distrib_ctx"](learn) as inside:
        assert inside is learn
        assert learn.ranks.world == 1
        assert learn.dls.train.share is None
    assert not torch.distributed.is_initialized()
