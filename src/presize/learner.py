"""The learner: data, model, loss and optimizer in one place, and the loop that trains them.

One call of `fit` reaches the model in three hops: `fit -> _epoch -> _train_batch -> model`.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from presize import (
    distribution,
    history,
    inference,
    insight,
    membership,
    persistence,
    preparation,
    recipes,
    resuming,
    speed,
)
from presize.callbacks.base import (
    Callback,
    Callbacks,
    CancelBatch,
    CancelEpoch,
    CancelFit,
    CancelStep,
    CancelTrain,
    CancelValidate,
)
from presize.callbacks.divergence import DivergenceWatch
from presize.callbacks.history import History
from presize.callbacks.progress import ProgressCallback
from presize.callbacks.recorder import Recorder
from presize.callbacks.train_eval import TrainEvalCallback
from presize.core.collections import L
from presize.core.device import default_device, to_device
from presize.core.errors import TrainingError
from presize.core.paths import Path
from presize.core.ranks import Rank
from presize.data.loaders import DataLoaders
from presize.models.groups import Splitter, trainable_params
from presize.resuming import Run, resumable
from presize.train.accumulation import Accumulation, BatchesOfStep
from presize.train.distributed import Parallel
from presize.train.duration import Duration
from presize.train.layout import in_channels_last
from presize.train.losses import check_loss, check_targets, describe_pair, loss_for_task
from presize.train.metrics import Metric, as_metric
from presize.train.microbatches import MicroBatches, items_in, out_of_memory
from presize.train.optim import Adam
from presize.train.precision import Kind as Kind
from presize.train.precision import PrecisionOf
from presize.train.rates import LearningRate

if TYPE_CHECKING:
    from presize.train.calibration import Calibration
    from presize.train.drift_reference import DriftReference
    from presize.train.training_record import TrainingRecord


class Learner:
    """Trains a model on data, and asks it.

    Args:
        dls: the training and validation loaders.
        model: any module whose output the loss understands.
        loss_func: a function of predictions and targets; None takes the one for the kind of
            targets that `dls` holds.
        opt_func: makes the optimizer from parameter groups: `Adam`, `SGD`, any torch.optim class.
        lr: the rate that fits use when they are given none.
        splitter: cuts the parameters of the model into layer groups, from input to output.
        cbs: callbacks that take part in every fit.
        metrics: functions of (predictions, targets), or Metric objects, for the validation set.
        path: the folder below which models are saved; None takes that of `dls`.
        model_dir: the folder of saved models, in `path`.
        wd: weight decay; None leaves the optimizer's own.
        wd_bn_bias: decay norm layers and biases as well.
        train_bn: train the norm layers of frozen groups.
        moms: momenta of the one-cycle schedule: at the start, at the highest rate, at the end.
        precision: "fp32", "tf32" (on newer NVIDIA GPUs), "fp16" (with loss scaling) or "bf16".
        accumulate: how many batches make one step of the optimizer, with the gradients of one
            batch as large as all of them.
        channels_last: compute with the channels last in memory.
        compile: compile the model with torch.compile; True, or the name of one of its modes.

    Raises:
        DataError: `loss_func` is None and the data does not tell which one fits.
    """

    precision, accumulate = PrecisionOf(), BatchesOfStep()
    n_inp: int | None
    xb: tuple[Any, ...]
    yb: tuple[Any, ...]
    typed_batch: tuple[Any, ...]
    pred: Any
    loss: Tensor
    calibration: "Calibration | None" = None
    drift_reference: "DriftReference | None" = None
    record: "TrainingRecord | None" = None  # what the model file told, if it came from one

    def __init__(
        self,
        dls: DataLoaders,
        model: nn.Module,
        loss_func: Callable[..., Tensor] | None = None,
        opt_func: Callable[..., torch.optim.Optimizer] = Adam,
        *,
        lr: float = 1e-3,
        splitter: Splitter = trainable_params,
        cbs: Callback | Iterable[Callback] | None = None,
        metrics: Any = None,
        path: str | AnyPath | None = None,
        model_dir: str | AnyPath = "models",
        wd: float | None = None,
        wd_bn_bias: bool = False,
        train_bn: bool = True,
        moms: tuple[float, float, float] = (0.95, 0.85, 0.95),
        precision: Kind = "fp32",
        accumulate: int = 1,
        channels_last: bool = False,
        compile: bool | str = False,
    ) -> None:
        self.dls, self.model = dls, model
        task = getattr(dls, "task", None)
        self.loss_func = loss_for_task(task) if loss_func is None else loss_func
        check_loss(self.loss_func, task)
        self.opt_func, self.lr, self.splitter = opt_func, lr, splitter
        self.metrics: L[Metric] = L(as_metric(m) for m in L(metrics))
        self.path = Path(path if path is not None else getattr(dls, "path", "."))
        self.model_dir = AnyPath(model_dir)
        self.wd, self.wd_bn_bias, self.train_bn, self.moms = wd, wd_bn_bias, train_bn, moms
        self.precision, self.accumulation = precision, Accumulation(accumulate)
        self.channels_last, self.compile = channels_last, compile
        self.parallel, self.run = Parallel(), Run()
        self.parts = MicroBatches(self.begin_step_again, lambda: self.ranks.world > 1)
        self.forward: Callable[..., Any] = model
        self.opt: torch.optim.Optimizer | None = None
        self.recorder, self.history = Recorder(), History()
        self.logger: Callable[[list[Any]], None] = print
        self.epoch, self.n_epoch, self.iter, self.n_iter = 0, 1, 0, 1
        self.train_iter, self.pct_train = 0, 0.0
        self.training = self.batch_cancelled = self.stepped = self.failing = False
        self.share = self._items = 1.0
        self.place, self.n_inp = self.device, None
        self.dl: Any = None
        self.loss = torch.zeros(())
        self.forget_batch()
        self.cbs = Callbacks()
        usual = [TrainEvalCallback(), DivergenceWatch(), ProgressCallback()]
        self.add_cbs([*usual, self.recorder, self.history, *L(cbs)])

    # ---- the loop ------------------------------------------------------------------------

    @resumable
    def fit(
        self,
        n_epoch: int,
        lr: LearningRate | None = None,
        wd: float | None = None,
        cbs: Callback | Iterable[Callback] | None = None,
        *,
        reset_opt: bool = False,
        start_epoch: int = 0,
        max_time: Duration | None = None,
    ) -> None:
        """Train for `n_epoch` epochs and show a table of losses and metrics.

        Args:
            n_epoch: how many passes over the training set.
            lr: one rate for all layer groups; slice(b) for b in the last group and b/10 in the
                others; slice(a, b) for geometric steps from a to b; or one rate per group.
            wd: weight decay of this fit.
            cbs: callbacks for this fit only.
            reset_opt: begin with a new optimizer.
            start_epoch: the epoch to begin with; those before count as done.
            max_time: seconds, or text such as "20m": the schedule is fitted to it, and `n_epoch`
                is the most passes that are made.
        """
        if self.run.passes_over():
            return
        prepared = preparation.prepared(self, lr, wd, reset_opt=reset_opt)
        with preparation.at_work(self, cbs, max_time), prepared:
            self.n_epoch = n_epoch
            try:
                self.cbs.before_fit(self)
                first = self.run.enter_fit(self, start_epoch)
                for self.epoch in range(first, n_epoch):
                    self._epoch()
            except CancelFit:
                self.cbs.after_cancel_fit(self)
            except BaseException:
                self.failing = True
                self.begin_step_again()  # gradients take as much memory as the model
                raise
            finally:
                self.cbs.after_fit(self)

    def _epoch(self) -> None:
        try:
            self.cbs.before_epoch(self)
            try:
                self._begin(self.dls.train, training=True)
                self.cbs.before_train(self)
                for i, batch in enumerate(self.dl, self.run.enter_epoch(self)):
                    self._train_batch(i, batch)
                if self.accumulation.pending:  # the batch that was to end its group was cancelled
                    with suppress(CancelBatch):
                        self.parallel.average(self.model)
                        self._complete()
                        self._step()
            except CancelTrain:
                self.cbs.after_cancel_train(self)
            self.cbs.after_train(self)
            self.pass_validation(self.dls.valid)
        except CancelEpoch:
            self.cbs.after_cancel_epoch(self)
        self.cbs.after_epoch(self)

    def _train_batch(self, i: int, batch: Any) -> None:
        self.take(i, batch)
        try:
            self.cbs.before_batch(self)
            weight, steps = self._weight_in_step()
            with self.parallel.accumulating(not steps):
                for part in self.parts.of(self):
                    with part:
                        with self.precision.autocast(self.place):
                            self.pred = self.forward(*self.xb)
                            self.cbs.after_pred(self)
                            self.loss = self._loss()
                        if not part.share:
                            continue  # none of its targets counts: 0 / 0
                        self.cbs.after_loss(self)
                        self.cbs.before_backward(self)
                        share = weight * part.share
                        self.accumulation.unfinished = True
                        self.precision.backward(self.loss if share == 1.0 else self.loss * share)
            self.accumulation.add(self._items)
            if steps:
                self._complete()
            self.cbs.after_backward(self)
            self.accumulation.unfinished = False
            if steps:
                self._step()
        except CancelBatch:
            self.batch_cancelled = True
            if self.accumulation.unfinished:
                self.begin_step_again()
            self.cbs.after_cancel_batch(self)
        self.cbs.after_batch(self)

    def _weight_in_step(self) -> tuple[float, bool]:
        """Return what the mean loss of the batch counts for in its step, and if it is the last."""
        world = self.parallel.rank.world
        if world == 1 and self.accumulation.single:
            return 1.0, True
        own = items_in(self.xb)
        self.share = self.parallel.share(self.iter, own)
        self._items = own * world / self.share
        complete = self.accumulation.completes() or self.iter + 1 == self.n_iter
        return self.share * self.accumulation.weight(self._items), complete

    def _complete(self) -> None:
        """Make what was added up the true gradients of the step."""
        assert self.opt is not None
        self.accumulation.finish(self.opt)
        self.precision.unscale(self.opt)

    def _step(self) -> None:
        opt = self.opt
        assert opt is not None
        self.accumulation.unfinished = True
        try:
            self.cbs.before_step(self)
            self.precision.step(opt)
            self.stepped = True
            self.cbs.after_step(self)
            opt.zero_grad()
        except CancelStep:
            if self.stepped:
                opt.zero_grad()
            else:
                self.precision.keep(opt)
            self.cbs.after_cancel_step(self)
        self.accumulation.unfinished = False

    def pass_validation(self, dl: Any) -> None:
        """Pass a loader through the model, batch by batch, with the events of validation."""
        if dl is None:
            return
        try:
            self._begin(dl, training=False)
            self.cbs.before_validate(self)
            with torch.no_grad():
                for i, batch in enumerate(self.dl):
                    self._valid_batch(i, batch)
        except CancelValidate:
            self.cbs.after_cancel_validate(self)
        self.cbs.after_validate(self)

    def _valid_batch(self, i: int, batch: Any) -> None:
        self.take(i, batch)
        try:
            self.cbs.before_batch(self)
            for part in self.parts.of(self):
                with part:
                    with self.precision.autocast(self.place):
                        self.pred = self.model(*self.xb)
                        self.cbs.after_pred(self)
                        if self.yb:
                            self.loss = self._loss()
                    self.cbs.after_loss(self)
        except CancelBatch:
            self.batch_cancelled = True
            self.cbs.after_cancel_batch(self)
        self.cbs.after_batch(self)

    def _loss(self) -> Tensor:
        try:
            return self.loss_func(self.pred, *self.yb)
        except Exception as error:
            if out_of_memory(error):
                raise
            # Only here, after the fact, so that a step that works pays nothing for it.
            check_targets(self.pred, self.y, self.loss_func)
            error.add_note(f"In the loss function, on {describe_pair(self.pred, self.y)}.")
            raise

    def _begin(self, dl: Any, *, training: bool) -> None:
        self.dl, self.training, self.iter, self.share = dl, training, 0, 1.0
        self.n_iter = len(dl)
        if training and (self.accumulation.pending or self.accumulation.unfinished):  # cancelled
            self.begin_step_again()
        if training and not self.n_iter:
            raise TrainingError(
                "There is nothing to train on: the training loader is empty. A learner that was "
                "loaded from a model file has no data; give it some: learn.dls = dls."
            )

    def take(self, i: int, batch: Any) -> None:
        """Put a batch on the device, as inputs and targets; the model sees plain tensors."""
        self.iter, self.batch_cancelled, self.stepped = i, False, False
        typed = to_device(tuple(batch) if isinstance(batch, list) else batch, self.place)
        self.typed_batch = typed if isinstance(typed, tuple) else (typed,)
        plain = tuple(map(_plain, self.typed_batch))
        n_inp = self.n_inp or max(len(plain) - 1, 1)
        self.xb, self.yb = plain[:n_inp], plain[n_inp:]
        if self.channels_last:
            self.xb = tuple(map(in_channels_last, self.xb))

    # ---- ways to train, to ask, to keep: written in the files that they come from --------

    fit_one_cycle = resumable(recipes.fit_one_cycle)
    fit_flat_cos = resumable(recipes.fit_flat_cos)
    fit_sgdr = resumable(recipes.fit_sgdr)
    fine_tune = resumable(recipes.fine_tune)
    lr_find = recipes.lr_find
    freeze_to = recipes.freeze_to
    freeze = recipes.freeze
    unfreeze = recipes.unfreeze
    groups = preparation.groups
    rates = preparation.rates
    create_opt = preparation.create_opt
    prepare_fit = preparation.prepare_fit
    place_model = preparation.place_model
    summary = preparation.summary
    to_fp16 = preparation.to_fp16
    to_bf16 = preparation.to_bf16
    to_fp32 = preparation.to_fp32
    distrib_ctx = distribution.distrib_ctx
    auto = speed.auto
    find_batch_size = speed.find_batch_size
    validate = inference.validate
    run_validation = inference.run_validation
    get_preds = inference.get_preds
    predict = inference.predict
    tta = inference.tta
    show_results = inference.show_results
    calibrate = insight.calibrate
    training_record = history.training_record
    interpret = insight.interpret
    find_label_errors = insight.find_label_errors
    clean = insight.clean
    report = insight.report
    save = persistence.save
    load = persistence.load
    export = persistence.export
    resume = resuming.resume
    add_cb = membership.add_cb
    add_cbs = membership.add_cbs
    remove_cb = membership.remove_cb
    remove_cbs = membership.remove_cbs
    added_cbs = membership.added_cbs
    removed_cbs = membership.removed_cbs
    no_bar = membership.no_bar
    no_logging = membership.no_logging

    # ---- state ---------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where the batches are put, and the model with them."""
        return torch.device(getattr(self.dls, "device", None) or default_device())

    @property
    def ranks(self) -> Rank:
        """Which of how many processes this is that train the model together."""
        return self.parallel.rank

    @property
    def x(self) -> Any:
        """The input of the batch: a tensor, or a tuple if there are several."""
        return self.xb[0] if len(self.xb) == 1 else self.xb

    @property
    def y(self) -> Any:
        """The target of the batch: a tensor, or a tuple if there are several."""
        return self.yb[0] if len(self.yb) == 1 else self.yb

    def forget_batch(self) -> None:
        """Let go of the last batch and its predictions, which hold memory."""
        self.xb, self.yb, self.typed_batch, self.pred = (), (), (), None
        self.loss = self.loss.detach()

    def begin_step_again(self) -> bool:
        """Drop what a step has gathered that did not come to its end; return if it had batches."""
        pending = self.accumulation.pending
        self.accumulation.restart()
        if self.opt is not None:
            self.precision.keep(self.opt)  # in fp16, scaled again as the next gradients are
            self.opt.zero_grad()
        return pending


def _plain(value: Any) -> Any:
    plain = type(value) is Tensor or not isinstance(value, Tensor)
    return value if plain else value.as_subclass(Tensor)
