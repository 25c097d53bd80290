"""The table of events in docs/training.md is what the loop does, row by row."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks import base
from presize.callbacks.base import EVENTS, Callback
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.optim import SGD

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
CANCELS = ("Step", "Batch", "Train", "Validate", "Epoch", "Fit")
IN_VALIDATION = ["before_batch", "after_pred", "after_loss", "after_batch"]


class Row(NamedTuple):
    event: str
    once_per: str
    cancels: tuple[str, ...]


def read_table():
    rows = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        found = re.fullmatch(r"\| `((?:before|after)_\w+)` \| ([\w ]+) \|.*\|([^|]*)\|", line)
        if found:
            cancels = tuple(re.findall(r"[A-Z]\w+", found[3]))
            rows.append(Row(found[1], found[2], cancels))
    return rows


TABLE = read_table()
BY_EVENT = {row.event: row for row in TABLE}


class Log(Callback):
    """Writes down every event, and raises what it is told to in some of them.

    Args:
        raises: (event, in training?) -> what is raised the first time; None stands for both.
    """

    order = 1000

    def __init__(self, raises=None):
        self.events, self.raises = [], dict(raises or {})


def _note(name):
    def event(self, learn):
        self.events.append(name)
        phase = learn.training if name in BATCH_EVENTS else None
        kind = self.raises.pop((name, phase), None)
        if kind is not None:
            raise kind

    return event


BATCH_EVENTS = EVENTS[EVENTS.index("before_batch") : EVENTS.index("after_batch") + 1]
for _name in EVENTS:
    setattr(Log, _name, _note(_name))


def make_learner(log, n_train=4, bs=2, **options):
    x = torch.randn(n_train, 3)
    items = list(zip(x, x.sum(1, keepdim=True), strict=True))
    dls = DataLoaders(DataLoader(items, bs), DataLoader(items[:4], 2), device="cpu")
    return Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, lr=0.01, cbs=log, **options)


def fit(log, n_epoch=2, **options):
    learn = make_learner(log, **options)
    with learn.no_logging():
        learn.fit(n_epoch)
    return learn


def test_the_table_has_every_event_in_its_order():
    assert tuple(row.event for row in TABLE) == EVENTS


def test_the_table_knows_all_ways_to_cancel():
    kinds = {name.removeprefix("Cancel") for name in vars(base) if re.fullmatch(r"Cancel\w+", name)}
    kinds = {name for name in kinds if not name.endswith("Exception")}
    assert kinds == set(CANCELS) == {c for row in TABLE for c in row.cancels}


def expected(n_epoch, n_train, n_valid, accumulate=1):
    """Make the sequence of events of a fit out of the rows of the table."""
    normal = [row for row in TABLE if "cancel" not in row.event]
    at = {row.event: i for i, row in enumerate(normal)}
    inner = normal[at["before_batch"] : at["after_batch"] + 1]

    def train():
        for i in range(n_train):
            steps = (i + 1) % accumulate == 0 or i + 1 == n_train
            yield from (row.event for row in inner if row.once_per != "step" or steps)

    def epoch():
        for row in normal[at["before_epoch"] : at["after_epoch"] + 1]:
            if row.once_per == "epoch":
                yield row.event
            if row.event == "before_train":
                yield from train()
            if row.event == "before_validate":
                yield from IN_VALIDATION * n_valid

    assert [row.event for row in normal if row.once_per == "learner"] == ["after_create"]
    assert [row.event for row in normal if row.once_per == "fit"] == ["before_fit", "after_fit"]
    middle = [event for _ in range(n_epoch) for event in epoch()]
    return ["after_create", "before_fit", *middle, "after_fit"]


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_a_fit_runs_the_events_of_the_table(accumulate):
    log = Log()
    fit(log, 2, n_train=9, bs=2, accumulate=accumulate)
    assert log.events == expected(2, 5, 2, accumulate)


def test_the_events_of_parts_come_once_for_each_part():
    class Small(nn.Linear):
        """Has memory for two items."""

        def forward(self, x):
            if len(x) > 2:
                raise torch.OutOfMemoryError
            return super().forward(x)

    log = Log()
    x = torch.randn(8, 3)
    items = list(zip(x, x.sum(1, keepdim=True), strict=True))
    dls = DataLoaders(DataLoader(items, 4), None, device="cpu")
    learn = Learner(dls, Small(3, 1), F.mse_loss, SGD, lr=0.01, cbs=log)
    with learn.no_logging(), pytest.warns(UserWarning, match="computed in 2 parts"):
        learn.fit(1)
    parts = [row.event for row in TABLE if row.once_per == "part"]
    assert parts == ["after_pred", "after_loss", "before_backward"]
    batches = [row.event for row in TABLE if row.once_per == "batch"]
    assert [log.events.count(e) for e in parts] == [4] * 3
    assert [log.events.count(e) for e in batches] == [2] * 3


# How to come to the events that only run after a cancel.
FIRST = {
    "after_cancel_step": ("before_step", "Step"),
    "after_cancel_batch": ("before_batch", "Batch"),
    "after_cancel_train": ("before_train", "Train"),
    "after_cancel_validate": ("before_validate", "Validate"),
    "after_cancel_epoch": ("before_epoch", "Epoch"),
    "after_cancel_fit": ("before_fit", "Fit"),
}


def phases(event):
    if event not in BATCH_EVENTS:
        return [None]
    in_both = event in IN_VALIDATION or event == "after_cancel_batch"
    return [True, False] if in_both else [True]


WHOLE = expected(n_epoch=2, n_train=2, n_valid=2)
CASES = [
    (row.event, phase, kind) for row in TABLE[1:] for phase in phases(row.event) for kind in CANCELS
]


def allowed(event, phase, kind):
    """Say whether the table has the cancel in the event; `Train or Validate` is by the phase."""
    other = {True: "Validate", False: "Train", None: None}[phase]
    return kind in BY_EVENT[event].cancels and kind != other


def beginning(event, phase):
    """Return the events up to the first `event` of the phase, and where in a whole fit that is."""
    at = FIRST[event][0] if event in FIRST else event
    start = 0 if phase is not False else WHOLE.index("before_validate")
    place = WHOLE.index(at, start)
    return WHOLE[: place + 1] + ([event] if event in FIRST else []), place


@pytest.mark.parametrize(("event", "phase", "kind"), CASES)
def test_a_cancel_ends_what_the_table_says_and_nothing_else(event, phase, kind):
    exception = getattr(base, f"Cancel{kind}")
    raises = {(event, phase): exception}
    if event in FIRST:
        first, cause = FIRST[event]
        raises[first, phase if first in BATCH_EVENTS else None] = getattr(base, f"Cancel{cause}")
    log = Log(raises)
    begun, place = beginning(event, phase)
    if not allowed(event, phase, kind):
        with pytest.raises(exception):
            fit(log)
        assert log.events == begun + ["after_fit"] * (event != "after_fit")
        return
    fit(log)
    # Gradients stay, and their batch goes on to its end; all else ends with the event of its name.
    goes_on = "after_batch" if kind == "Step" else f"after_{kind.lower()}"
    rest = WHOLE[WHOLE.index(goes_on, place) :]
    assert log.events == [*begun, f"after_cancel_{kind.lower()}", *rest]


def test_any_other_error_leaves_the_fit_after_its_last_event():
    log = Log({("before_step", True): KeyError("lost")})
    with pytest.raises(KeyError, match="lost"):
        fit(log)
    assert log.events[-2:] == ["before_step", "after_fit"]


def test_validation_alone_has_its_own_events():
    log = Log()
    learn = make_learner(log)
    learn.validate()
    whole = ["before_validate", *IN_VALIDATION * 2, "after_validate"]
    assert log.events == ["after_create", *whole]
