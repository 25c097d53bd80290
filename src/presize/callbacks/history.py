"""Keeps what every fit of a learner came to: the tables and curves behind a report."""

import time
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from presize.callbacks.base import Callback
from presize.train.training_record import FitRecord, number, taken, thinned

if TYPE_CHECKING:
    from presize.learner import Learner


class History(Callback):
    """Keeps a record of each fit; always there as `learn.history`.

    `learn.recorder` knows the last fit alone, and `fine_tune` makes two. `fits` has one
    `FitRecord` for each, `started` the time at which the first one began.
    """

    order = 95  # when the recorder has said its verdict

    def __init__(self) -> None:
        self.fits: list[FitRecord] = []
        self.started: str | None = None
        self._start: float | None = None
        self._method = "fit"

    def before_fit(self, learn: "Learner") -> None:
        """Start the clock."""
        self._start = time.perf_counter()
        self._method = "fit" if learn.run.call is None else learn.run.call["name"]
        if self.started is None:
            self.started = datetime.now().astimezone().isoformat(timespec="seconds")

    def after_fit(self, learn: "Learner") -> None:
        """Keep the fit, unless it ended before its first step."""
        recorder, start, self._start = learn.recorder, self._start, None
        if start is None or not len(recorder.smooth_loss):
            return
        losses, hyper = recorder.losses, recorder.hps
        points = thinned(len(losses))
        hyper_points = thinned(max(map(len, hyper.values()), default=0))
        frozen = sum(not p.requires_grad for p in learn.model.parameters())
        self.fits.append(
            FitRecord(
                method=self._method,
                trained="all layers" if not frozen else "the last layers, the others frozen",
                n_epoch=learn.n_epoch,
                n_steps=len(losses),
                names=list(recorder.metric_names),
                rows=[list(map(number, cells)) for cells in recorder.shown],
                epoch_steps=list(recorder.iters),
                loss_steps=points,
                losses=taken(losses, points),
                hyper={name: taken(values, hyper_points) for name, values in hyper.items()},
                hyper_steps=hyper_points,
                seconds=round(time.perf_counter() - start, 3),
                waited=recorder.waited,
                waiting=recorder.verdict,
            )
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the fits before this one, and how long it has taken."""
        return {
            "fits": [asdict(fit) for fit in self.fits],
            "started": self.started,
            "seconds": 0.0 if self._start is None else time.perf_counter() - self._start,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the history of another run."""
        self.fits = [FitRecord(**fit) for fit in state["fits"]]
        self.started = state["started"]
        self._start = time.perf_counter() - state["seconds"]
