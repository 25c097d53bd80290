import csv
import time

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import Callback, CancelEpoch
from presize.callbacks.csv_logger import CSVLogger
from presize.core.errors import TrainingError
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.optim import SGD

HEAD = ["epoch", "train_loss", "valid_loss", "seconds"]


def make_learner(path, *cbs, **options):
    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(3)]
    dls = DataLoaders(batches, batches, device="cpu")
    return Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, path=path, cbs=list(cbs), **options)


def fit(learn, n_epoch, **options):
    with learn.no_logging():
        learn.fit(n_epoch, **options)
    return [[learn_epoch, *row] for learn_epoch, row in enumerate(learn.recorder.values)]


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def figures(rows):
    return [[int(r[0]), *map(float, r[1:-1])] for r in rows]


def test_each_epoch_is_a_line_with_the_figures_of_the_table(tmp_path):
    table = fit(make_learner(tmp_path, CSVLogger(), lr=0.01), 3)
    head, *rows = rows_of(tmp_path / "history.csv")
    assert head == HEAD
    assert figures(rows) == [[n, *map(float, values)] for n, *values in table]
    assert all(0 <= float(row[-1]) < 60 for row in rows)


def test_the_file_is_complete_after_every_epoch(tmp_path):
    lengths = []

    class Look(Callback):
        order = 90

        def after_epoch(self, learn):
            lengths.append(len(rows_of(tmp_path / "log" / "run.csv")))

    fit(make_learner(tmp_path, CSVLogger("log/run.csv"), Look()), 3)
    assert lengths == [2, 3, 4]


def test_later_fits_of_the_same_object_go_on_in_the_file(tmp_path):
    learn = make_learner(tmp_path, CSVLogger())
    fit(learn, 2)
    fit(learn, 1)
    assert [row[0] for row in rows_of(tmp_path / "history.csv")] == ["epoch", "0", "1", "0"]


def test_another_object_begins_anew_or_appends(tmp_path):
    fit(make_learner(tmp_path, CSVLogger()), 2)
    fit(make_learner(tmp_path, CSVLogger(append=True)), 1)
    assert [row[0] for row in rows_of(tmp_path / "history.csv")] == ["epoch", "0", "1", "0"]
    fit(make_learner(tmp_path, CSVLogger()), 1)
    assert [row[0] for row in rows_of(tmp_path / "history.csv")] == ["epoch", "0"]


def test_a_line_that_was_cut_off_stays_a_line_of_its_own(tmp_path):
    file = tmp_path / "history.csv"
    file.write_text(",".join(HEAD) + "\n0,0.5,0.4")
    fit(make_learner(tmp_path, CSVLogger(append=True)), 1)
    rows = rows_of(file)
    assert rows[1] == ["0", "0.5", "0.4"] and len(rows) == 3 and len(rows[2]) == 4


def test_other_columns_are_refused_before_anything_is_trained(tmp_path):
    learn = make_learner(tmp_path, CSVLogger())
    fit(learn, 1)
    learn.metrics = make_learner(tmp_path, metrics=F.l1_loss).metrics
    before = learn.model.weight.clone()
    with pytest.raises(TrainingError, match=r"epoch, train_loss, valid_loss, seconds; this fit"):
        fit(learn, 1)
    assert torch.equal(before, learn.model.weight)


def test_figures_that_an_epoch_lacks_are_left_empty(tmp_path):
    class Cut(Callback):
        def before_validate(self, learn):
            raise CancelEpoch

    fit(make_learner(tmp_path, CSVLogger(), Cut()), 1)
    row = rows_of(tmp_path / "history.csv")[1]
    assert len(row) == 4 and float(row[1]) > 0 and row[2] == ""


def test_the_table_can_be_read_back(tmp_path):
    logger = CSVLogger()
    with pytest.raises(TrainingError, match=r"There is no history.csv yet.*Call fit"):
        logger.read_log()
    table = fit(make_learner(tmp_path, logger), 2)
    frame = logger.read_log()
    assert isinstance(frame, pd.DataFrame) and list(frame) == HEAD
    assert frame["valid_loss"].tolist() == [row[2] for row in table]


class Kill(Exception):
    pass


class Killed(Callback):
    """Takes the state at the end of one epoch, and dies later."""

    order = 99

    def __init__(self, keep, die):
        self.keep, self.die, self.state = keep, die, None

    def after_epoch(self, learn):
        if learn.epoch == self.keep:
            logger = next(cb for cb in learn.cbs if isinstance(cb, CSVLogger))
            self.state = logger.state_dict()
        if learn.epoch == self.die:
            raise Kill


class Resume(Callback):
    order = 99

    def __init__(self, state):
        self.state = state

    def before_fit(self, learn):
        next(cb for cb in learn.cbs if isinstance(cb, CSVLogger)).load_state_dict(self.state)


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize("lost", [False, True])
def test_a_resumed_run_leaves_the_file_of_one_that_was_never_killed(tmp_path, append, lost):
    file = tmp_path / "history.csv"
    if append:
        file.write_text(",".join(HEAD) + "\n7,0.5,0.4,1\n")
    killed = Killed(keep=1, die=2)
    with pytest.raises(Kill):
        fit(make_learner(tmp_path, CSVLogger(append=append), killed), 5)
    assert len(rows_of(file)) == 4 + append
    if lost:
        file.unlink()
    again = make_learner(tmp_path, CSVLogger(append=append), Resume(killed.state))
    fit(again, 5, start_epoch=2)
    epochs = [row[0] for row in rows_of(file)]
    if append and lost:
        assert epochs == ["0", "1", "2", "3", "4"]  # what others wrote cannot be made again
    else:
        assert epochs == ["epoch", *(["7"] * append), "0", "1", "2", "3", "4"]


def test_the_seconds_of_an_epoch_count_those_before_it_was_resumed(tmp_path):
    first, again = CSVLogger(), CSVLogger()
    first.before_epoch(make_learner(tmp_path))
    time.sleep(0.05)
    state = first.state_dict() | {"lines": [], "start": None}
    assert 0.05 <= state["seconds"] < 60

    class Resume(Callback):
        order = 99

        def before_train(self, learn):
            again.load_state_dict(state | {"seconds": 500.0})

    fit(make_learner(tmp_path, again, Resume()), 1)
    assert 500 <= float(rows_of(tmp_path / "history.csv")[1][-1]) < 560


def test_lr_find_writes_nothing(tmp_path):
    make_learner(tmp_path, CSVLogger()).lr_find(show_plot=False, num_it=20)
    assert not list(tmp_path.iterdir())
