"""Writes the course of training for TensorBoard: losses, rates and the table's figures."""

import time
from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from presize.callbacks.base import Callback
from presize.callbacks.resting import looks_for_rate
from presize.data.extras import extra_library

if TYPE_CHECKING:
    from presize.learner import Learner

# Losses are read from the device at the end of an epoch, and in a long one as often as this.
_SECONDS = 30.0


class TensorBoardCallback(Callback):
    """Writes event files that `tensorboard --logdir runs` shows, live.

    `train/loss` and the scheduled hyper-parameters come every few steps, `epoch/…` holds the
    figures of the table; the axis counts steps over all fits of the same object. A resumed run
    goes on in its folder, and what the killed one wrote after its checkpoint is hidden.

    Args:
        folder: where the files go, a relative name from `learn.path`; None makes a new one there,
            `runs/<date>_<time>`.
        every: how many steps make one point of a curve; its loss is their mean.

    Raises:
        ImportError: tensorboard is not installed; says how to install it.
        ValueError: `every` is less than one.
    """

    order = 81
    run_valid = False

    def __init__(self, folder: str | AnyPath | None = None, *, every: int = 10) -> None:
        if every < 1:
            raise ValueError(f"TensorBoardCallback(every=…) is 1 or more, but got {every!r}.")
        extra_library("tensorboard", extra="track", what="TensorBoardCallback")
        self.folder = None if folder is None else AnyPath(folder)
        self.every = every
        self._root: AnyPath | None = None
        self._writer: Any = None
        self._step = 0
        self._resumed_at: int | None = None
        self._losses: list[Tensor] = []  # of the steps since the last point
        self._before: list[float] = []  # and those of them before the run was resumed
        self._points: list[tuple[int, float, Tensor, dict[str, float]]] = []  # not written yet
        self._resting = False
        self._written = 0.0

    @property
    def path(self) -> AnyPath | None:
        """The folder of the event files; None before the first fit."""
        return None if self._root is None or self.folder is None else self._root / self.folder

    def before_fit(self, learn: "Learner") -> None:
        """Choose the folder; the file is opened with the first point."""
        self._resting = looks_for_rate(learn)
        self._written = time.perf_counter()
        if not self._resting and learn.ranks.is_main:
            if self.folder is None:
                self.folder = AnyPath("runs") / time.strftime("%Y-%m-%d_%H-%M-%S")
            self._root = AnyPath(learn.path)

    def after_batch(self, learn: "Learner") -> None:
        """Keep the loss, on the device, and now and then make a point of the last ones."""
        if self._resting or learn.batch_cancelled or not learn.ranks.is_main:
            return
        assert learn.opt is not None
        self._step += 1
        self._losses.append(learn.loss.detach().float().mean())
        if len(self._before) + len(self._losses) < self.every:
            return
        loss = (torch.stack(self._losses).sum() + sum(self._before)) / self.every
        hypers = {name: values[-1] for name, values in learn.recorder.hps.items() if values}
        hypers["lr"] = learn.opt.param_groups[-1]["lr"]
        self._points.append((self._step, time.time(), loss, hypers))
        self._losses, self._before = [], []
        if time.perf_counter() - self._written > _SECONDS:
            self._write_points()

    def after_epoch(self, learn: "Learner") -> None:
        """Write the points and the figures of the epoch."""
        if self._resting or not learn.recorder.values or not learn.ranks.is_main:
            return
        self._write_points()
        names = [name for name in learn.recorder.metric_names if name not in ("epoch", "time")]
        for name, value in zip(names, learn.recorder.values[-1], strict=False):
            if value is not None:
                self._open().add_scalar(f"epoch/{name}", value, self._step)
        self._open().flush()

    def after_fit(self, learn: "Learner") -> None:
        """Close the file."""
        if self._resting:  # a search for a rate, perhaps in the middle of a fit that goes on
            self._resting = False
            return
        self._write_points()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def state_dict(self) -> dict[str, Any]:
        """Return the folder, the step, and the losses that make no point yet."""
        self._write_points()
        if self._writer is not None:
            self._writer.flush()
        losses = [*self._before, *map(float, self._losses)]
        folder = None if self.folder is None else str(self.folder)
        return {"folder": folder, "step": self._step, "losses": losses}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on behind this step."""
        self.folder = None if state["folder"] is None else AnyPath(state["folder"])
        self._step = int(state["step"])
        self._resumed_at = self._step if self._writer is None else None
        self._before, self._losses, self._points = list(state["losses"]), [], []

    def _open(self) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            purge = None if self._resumed_at is None else self._resumed_at + 1
            self._writer = SummaryWriter(str(self.path), purge_step=purge)
            self._resumed_at = None
        return self._writer

    def _write_points(self) -> None:
        if self._points:
            losses = torch.stack([loss for _, _, loss, _ in self._points]).tolist()
            for (step, at, _, hypers), loss in zip(self._points, losses, strict=True):
                self._open().add_scalar("train/loss", loss, step, walltime=at)
                for name, value in hypers.items():
                    self._open().add_scalar(f"train/{name}", value, step, walltime=at)
            self._points = []
        self._written = time.perf_counter()

    def __repr__(self) -> str:
        return f"TensorBoardCallback({'' if self.folder is None else repr(str(self.folder))})"
