import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import Callback
from presize.callbacks.tensorboard import TensorBoardCallback
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.optim import SGD


def make_learner(path, *cbs):
    torch.manual_seed(0)
    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(6)]
    dls = DataLoaders(batches, batches[:2], device="cpu")
    return Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, lr=0.01, path=path, cbs=list(cbs))


def fit(learn, n_epoch, method="fit", **options):
    with learn.no_logging():
        getattr(learn, method)(n_epoch, **options)
    return learn


def read(folder):
    """Return the curves of a folder: name -> [(step, value)], with TensorBoard's own reader."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {
        name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]
    }


@pytest.fixture
def tensorboard():
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")


class Losses(Callback):
    def __init__(self):
        self.seen = []

    def after_loss(self, learn):
        if learn.training:
            self.seen.append(learn.loss.item())


@pytest.mark.usefixtures("tensorboard")
def test_points_are_means_over_steps_and_figures_are_those_of_the_table(tmp_path):
    losses = Losses()
    board = TensorBoardCallback(tmp_path / "board", every=4)
    learn = fit(make_learner(tmp_path, board, losses), 2)
    curves = read(tmp_path / "board")
    assert set(curves) == {"train/loss", "train/lr", "epoch/train_loss", "epoch/valid_loss"}
    means = [(i + 4, sum(losses.seen[i : i + 4]) / 4) for i in (0, 4, 8)]
    for (step, value), (at, expected) in zip(curves["train/loss"], means, strict=True):
        assert (step, value) == (at, pytest.approx(expected, rel=1e-5))
    valid = [(6, learn.recorder.values[0][1]), (12, learn.recorder.values[1][1])]
    assert curves["epoch/valid_loss"] == [(s, pytest.approx(v, rel=1e-6)) for s, v in valid]


@pytest.mark.usefixtures("tensorboard")
def test_schedules_are_drawn_and_the_folder_is_made_below_the_learners(tmp_path):
    board = TensorBoardCallback(every=1)
    learn = fit(make_learner(tmp_path, board), 1, "fit_one_cycle", lr_max=0.1)
    (folder,) = (tmp_path / "runs").iterdir()
    rates = [value for _, value in read(folder)["train/lr"]]
    assert rates == pytest.approx(learn.recorder.lrs, rel=1e-5)
    assert board.path == folder


@pytest.mark.usefixtures("tensorboard")
def test_later_fits_go_on_where_the_steps_ended(tmp_path):
    learn = make_learner(tmp_path, TensorBoardCallback("board", every=3))
    fit(learn, 1)
    fit(learn, 1)
    assert [step for step, _ in read(tmp_path / "board")["train/loss"]] == [3, 6, 9, 12]


@pytest.mark.usefixtures("tensorboard")
def test_later_fits_stay_in_a_folder_below_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for board in (TensorBoardCallback("board"), TensorBoardCallback()):
        assert board.path is None
        learn = make_learner("out", board)
        fit(learn, 1)
        first = board.path
        fit(learn, 1)
        assert board.path == first
    folders = {p.parent for p in tmp_path.rglob("events*")}
    assert folders == {tmp_path / "out" / "board", tmp_path / first}


@pytest.mark.usefixtures("tensorboard")
def test_a_resumed_run_hides_what_the_killed_one_wrote_after_its_checkpoint(tmp_path):
    class Kill(Exception):
        pass

    class Killed(Callback):
        order = 99
        state = None

        def after_batch(self, learn):
            if learn.training and learn.train_iter == 5:
                self.state = board.state_dict()

        def after_epoch(self, learn):
            raise Kill

    killed, board = Killed(), TensorBoardCallback("board", every=2)
    with pytest.raises(Kill):
        fit(make_learner(tmp_path, board, killed), 1)
    assert killed.state["step"] == 5 and len(killed.state["losses"]) == 1
    again = TensorBoardCallback("elsewhere", every=2)

    class Resume(Callback):
        order = 99

        def before_fit(self, learn):
            again.load_state_dict(killed.state)

    losses = Losses()
    fit(make_learner(tmp_path, again, Resume(), losses), 1)
    curve = read(tmp_path / "board")["train/loss"]
    assert [step for step, _ in curve] == [2, 4, 6, 8, 10]
    across = (killed.state["losses"][0] + losses.seen[0]) / 2
    assert curve[2][1] == pytest.approx(across, rel=1e-5)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.usefixtures("tensorboard")
def test_lr_find_writes_nothing(tmp_path):
    make_learner(tmp_path, TensorBoardCallback(every=1)).lr_find(show_plot=False, num_it=20)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("tensorboard")
def test_a_point_is_at_least_one_step():
    with pytest.raises(ValueError, match="is 1 or more, but got 0"):
        TensorBoardCallback(every=0)


def test_a_missing_library_is_named_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match=r'TensorBoardCallback needs.*"presize\[track\]"'):
        TensorBoardCallback()
