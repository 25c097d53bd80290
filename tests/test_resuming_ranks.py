"""Two processes that train together, are killed, and go on, beside two that are not killed."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed

from presize.train.state import load_meta, load_state

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork")
    or not distributed.is_available()
    or not distributed.is_gloo_available(),
    reason="needs fork and gloo",
)

# Begins pairs of processes without importing all anew: they are its copies.
PROGRAM = """
import os, sys
sys.path.insert(0, sys.argv[1])
from test_resuming import *
from presize.distribution import distrib_ctx
from torch import distributed
torch.set_num_threads(1)

class Exit(Callback):
    order = 30000

    def __init__(self, how, after):
        self.how, self.after = how, after

    def after_batch(self, learn):
        self.after -= learn.training
        if not self.after and self.how == "exit":
            os._exit(7)
        if not self.after and learn.ranks.number == 1:
            os.kill(os.getpid(), signal.SIGTERM)

def train(folder, how, after, rank):
    learn = make_learner(folder)
    learn.recorder.train_metrics = True
    rows = []
    learn.logger = rows.append
    learn.remove_cb(type(learn.cbs[-1]))
    with distrib_ctx(learn):
        cbs = [Checkpoints(every_steps=2), EMA(0.9), Exit(how, after)]
        if (learn.path / "checkpoints").exists():
            learn.resume(cbs=cbs)
        else:
            learn.fine_tune(2, 0.05, cbs=cbs)
    end = {f"model.{name}": value for name, value in learn.model.state_dict().items()}
    end["random"] = torch.rand(3)
    save_state(learn.path / f"end{rank}.safetensors", tensors=end, meta={
        "values": learn.recorder.values, "losses": learn.recorder.losses,
    })

for line in sys.stdin:
    port, how, after, folder = line.rstrip().split(" ", 3)
    os.environ.update(WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    children = []
    for rank in range(2):
        if (child := os.fork()) == 0:
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
            train(folder, how, int(after), rank)
            distributed.destroy_process_group()
            os._exit(0)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print(json.dumps(codes), flush=True)
"""


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_they_end_as_if_nobody_had_killed_them(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(Path(__file__).parent)]
    attempts = ["exit 1000000 {}/plain", "exit 3 {}/killed", "SIGTERM 2 {}/killed"]
    attempts += ["exit 3 {}/killed", "exit 1000000 {}/killed"]
    told = "".join(f"{free_port()} {attempt.format(tmp_path)}\n" for attempt in attempts)
    done = subprocess.run(
        command, input=told, capture_output=True, text=True, timeout=120, check=False
    )
    codes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert codes == [[0, 0], [7, 7], [143, 143], [7, 7], [0, 0]], done.stderr
    for rank in range(2):
        plain, killed = (
            load_state(tmp_path / name / f"end{rank}.safetensors") for name in ("plain", "killed")
        )
        assert all(torch.equal(value, killed[0][name]) for name, value in plain[0].items())
        assert plain[1] == killed[1]
    draws = [load_state(tmp_path / f"plain/end{rank}.safetensors")[0]["random"] for rank in (0, 1)]
    assert not torch.equal(*draws)
    newest = max((tmp_path / "killed/checkpoints").iterdir())
    assert load_meta(newest)["world"] == 2
