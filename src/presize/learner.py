"""The learner: data, model, loss and optimizer in one place, and the loop that trains them.

One call of `fit` reaches the model in three hops: `fit -> _epoch -> _train_batch -> model`.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path as AnyPath
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from presize import inference, persistence, recipes
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
from presize.callbacks.progress import ProgressCallback
from presize.callbacks.recorder import Recorder
from presize.callbacks.train_eval import TrainEvalCallback
from presize.core.collections import L
from presize.core.device import default_device, same_place, to_device
from presize.core.errors import TrainingError
from presize.core.paths import Path
from presize.data.labelcheck import check_vocab
from presize.data.loaders import DataLoaders
from presize.models.groups import Splitter, check_groups, trainable_params
from presize.models.summary import model_summary
from presize.train.losses import check_loss, check_targets, describe_pair, loss_for_task
from presize.train.metrics import Metric, as_metric
from presize.train.optim import Adam, make_optimizer, param_groups_for, set_hyper
from presize.train.precision import Precision
from presize.train.rates import LearningRate, rates_for

Kind = Literal["fp32", "fp16", "bf16"]


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
        precision: "fp32", "fp16" (with loss scaling) or "bf16".

    Raises:
        TrainingError: `loss_func` is None and the data does not tell which one fits.
    """

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
    ) -> None:
        self.dls, self.model = dls, model
        task = getattr(dls, "task", None)
        self.loss_func = self._loss_of_data() if loss_func is None else loss_func
        check_loss(self.loss_func, task)
        self.opt_func, self.lr, self.splitter = opt_func, lr, splitter
        self.metrics: L[Metric] = L(as_metric(m) for m in L(metrics))
        self.path = Path(path if path is not None else getattr(dls, "path", "."))
        self.model_dir = AnyPath(model_dir)
        self.wd, self.wd_bn_bias, self.train_bn, self.moms = wd, wd_bn_bias, train_bn, moms
        self.precision = Precision(precision)
        self.opt: torch.optim.Optimizer | None = None
        self.recorder = Recorder()
        self.logger: Callable[[list[Any]], None] = print
        self.epoch, self.n_epoch, self.iter, self.n_iter = 0, 1, 0, 1
        self.train_iter, self.pct_train = 0, 0.0
        self.training = self.batch_cancelled = False
        self.dl: Any = None
        self.typed_batch: tuple[Any, ...] = ()
        self.xb: tuple[Any, ...] = ()
        self.yb: tuple[Any, ...] = ()
        self.pred: Any = None
        self.loss: Tensor = torch.zeros(())
        self.cbs = Callbacks()
        self.add_cbs([TrainEvalCallback(), self.recorder, ProgressCallback()])
        self.add_cbs(L(cbs))

    # ---- the loop ------------------------------------------------------------------------

    def fit(
        self,
        n_epoch: int,
        lr: LearningRate | None = None,
        wd: float | None = None,
        cbs: Callback | Iterable[Callback] | None = None,
        *,
        reset_opt: bool = False,
        start_epoch: int = 0,
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
        """
        with self.added_cbs(cbs):
            self._prepare(lr, wd, reset_opt=reset_opt)
            self.n_epoch = n_epoch
            try:
                self.cbs.before_fit(self)
                for self.epoch in range(start_epoch, n_epoch):
                    self._epoch()
            except CancelFit:
                self.cbs.after_cancel_fit(self)
            finally:
                self.cbs.after_fit(self)
                self.forget_batch()

    def _epoch(self) -> None:
        try:
            self.cbs.before_epoch(self)
            try:
                self._begin(self.dls.train, training=True)
                self.cbs.before_train(self)
                for i, batch in enumerate(self.dl):
                    self._train_batch(i, batch)
            except CancelTrain:
                self.cbs.after_cancel_train(self)
            self.cbs.after_train(self)
            self.pass_validation(self.dls.valid)
        except CancelEpoch:
            self.cbs.after_cancel_epoch(self)
        self.cbs.after_epoch(self)

    def _train_batch(self, i: int, batch: Any) -> None:
        assert self.opt is not None
        self._take(i, batch)
        try:
            self.cbs.before_batch(self)
            with self.precision.autocast(self.device):
                self.pred = self.model(*self.xb)
                self.cbs.after_pred(self)
                self.loss = self._loss()
            self.cbs.after_loss(self)
            self.cbs.before_backward(self)
            self.precision.backward(self.loss)
            self.precision.unscale(self.opt)
            self.cbs.after_backward(self)
            self._step(self.opt)
        except CancelBatch:
            self.batch_cancelled = True
            self.cbs.after_cancel_batch(self)
        self.cbs.after_batch(self)

    def _step(self, opt: torch.optim.Optimizer) -> None:
        try:
            self.cbs.before_step(self)
            self.precision.step(opt)
            self.cbs.after_step(self)
            opt.zero_grad()
        except CancelStep:
            self.cbs.after_cancel_step(self)

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
        self._take(i, batch)
        try:
            self.cbs.before_batch(self)
            with self.precision.autocast(self.device):
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
            # Only here, after the fact, so that a step that works pays nothing for it.
            check_targets(self.pred, self.y, self.loss_func)
            error.add_note(f"In the loss function, on {describe_pair(self.pred, self.y)}.")
            raise

    def _begin(self, dl: Any, *, training: bool) -> None:
        self.dl, self.training, self.iter = dl, training, 0
        self.n_iter = len(dl)
        if training and not self.n_iter:
            raise TrainingError(
                "There is nothing to train on: the training loader is empty. A learner that was "
                "loaded from a model file has no data; give it some: learn.dls = dls."
            )

    def _take(self, i: int, batch: Any) -> None:
        """Put a batch on the device, as inputs and targets; the model sees plain tensors."""
        self.iter, self.batch_cancelled = i, False
        typed = to_device(tuple(batch) if isinstance(batch, list) else batch, self.device)
        self.typed_batch = typed if isinstance(typed, tuple) else (typed,)
        plain = tuple(map(_plain, self.typed_batch))
        n_inp = getattr(self.dls, "n_inp", None) or max(len(plain) - 1, 1)
        self.xb, self.yb = plain[:n_inp], plain[n_inp:]

    # ---- ways to train, to ask, to keep: written in the files that they come from --------

    fit_one_cycle = recipes.fit_one_cycle
    fine_tune = recipes.fine_tune
    lr_find = recipes.lr_find
    freeze_to = recipes.freeze_to
    freeze = recipes.freeze
    unfreeze = recipes.unfreeze
    validate = inference.validate
    run_validation = inference.run_validation
    get_preds = inference.get_preds
    predict = inference.predict
    tta = inference.tta
    show_results = inference.show_results
    save = persistence.save
    load = persistence.load
    export = persistence.export

    def rates(self, lr: LearningRate | None) -> NDArray[np.float64]:
        """Return one rate per layer group for a rate given as number, slice or sequence."""
        return rates_for(self.lr if lr is None else lr, len(self.groups()))

    def _prepare(self, lr: LearningRate | None, wd: float | None, *, reset_opt: bool) -> None:
        """Put the model on the device of the data; make the optimizer; set its rates."""
        if getattr(self.dls, "task", None) == "classification":
            check_vocab(self.dls.vocab)
        self.place_model()
        if reset_opt or self.opt is None:
            self.create_opt()
        assert self.opt is not None
        set_hyper(self.opt, "lr", self.rates(lr))
        decay = self.wd if wd is None else wd
        if decay is not None:
            set_hyper(self.opt, "wd", decay)

    def create_opt(self) -> None:
        """Make a new optimizer over the layer groups."""
        groups = param_groups_for(self.model, self.groups(), wd_bn_bias=self.wd_bn_bias)
        self.opt = make_optimizer(self.opt_func, groups, lr=float(self.rates(None)[-1]))

    def place_model(self) -> None:
        """Put the model where the batches go, if it is not there.

        Raises:
            TrainingError: it is on another accelerator, where somebody put it.
        """
        target = self.device
        # Asked before it is moved: `Module.to` walks over all weights, 2 ms for a resnet18 that is
        # in its place already, which would be felt in every `predict`.
        places = {t.device for t in (*self.model.parameters(), *self.model.buffers())}
        wrong = [place for place in places if not same_place(place, target)]
        for place in wrong:
            if place.type != "cpu":
                raise TrainingError(
                    f"The model is on {place}, but the data comes on {target}. Put both on one "
                    f"device: dls.to({str(place)!r}), or learn.model.to({str(target)!r})."
                )
        if wrong:
            self.model.to(target)

    # ---- layer groups --------------------------------------------------------------------

    def groups(self) -> list[list[nn.Parameter]]:
        """Return the parameters of each layer group, from input to output."""
        groups = [list(group) for group in self.splitter(self.model)]
        check_groups(self.model, groups)
        return groups

    def summary(self) -> str:
        """Return a table of the model's layers, output shapes and parameters."""
        batch = self.dls.one_batch()
        self.place_model()
        self._take(0, batch)
        # One picture tells all shapes; a whole batch would take a CPU seconds.
        shapes = [(1, *x.shape[1:]) for x in self.xb]
        self.forget_batch()
        return model_summary(self.model, *shapes)

    # ---- precision -----------------------------------------------------------------------

    def to_fp16(self) -> Self:
        """Compute in float16 where that is safe, with loss scaling; weights stay float32."""
        self.precision = Precision("fp16")
        return self

    def to_bf16(self) -> Self:
        """Compute in bfloat16 where that is safe; weights stay float32."""
        self.precision = Precision("bf16")
        return self

    def to_fp32(self) -> Self:
        """Compute in float32."""
        self.precision = Precision("fp32")
        return self

    # ---- callbacks -----------------------------------------------------------------------

    def add_cb(self, cb: Callback | type[Callback]) -> Self:
        """Add a callback (a class is called)."""
        return self.add_cbs([cb])

    def add_cbs(self, cbs: Iterable[Callback | type[Callback]]) -> Self:
        """Add callbacks (classes are called)."""
        made = [cb() if isinstance(cb, type) else cb for cb in cbs]
        self.cbs.replace([*self.cbs, *made])
        for cb in made:
            if isinstance(cb, Recorder):
                self.recorder = cb
            cb.after_create(self)
        return self

    def remove_cb(self, cb: Callback | type[Callback]) -> Self:
        """Remove a callback: this one, or all of this class."""
        return self.remove_cbs([cb])

    def remove_cbs(self, cbs: Iterable[Callback | type[Callback]]) -> Self:
        """Remove callbacks, given as objects or classes."""
        wanted = list(cbs)
        kinds = tuple(cb for cb in wanted if isinstance(cb, type))
        self.cbs.replace(
            cb for cb in self.cbs if not isinstance(cb, kinds) and all(cb is not w for w in wanted)
        )
        return self

    @contextmanager
    def added_cbs(self, cbs: Callback | Iterable[Callback] | None) -> Iterator[Self]:
        """Have these callbacks as well, inside a `with` block."""
        before = list(self.cbs)
        self.add_cbs(L(cbs))
        try:
            yield self
        finally:
            self.cbs.replace(before)

    @contextmanager
    def removed_cbs(self, cbs: Iterable[Callback | type[Callback]]) -> Iterator[Self]:
        """Do without these callbacks, inside a `with` block."""
        before = list(self.cbs)
        self.remove_cbs(cbs)
        try:
            yield self
        finally:
            self.cbs.replace(before)

    def no_bar(self) -> AbstractContextManager[Self]:
        """Show no progress inside a `with` block; the table is printed as plain lists."""
        return self.removed_cbs([ProgressCallback])

    @contextmanager
    def no_logging(self) -> Iterator[Self]:
        """Show neither table nor bar inside a `with` block."""
        before, self.logger = self.logger, silent
        try:
            with self.no_bar():
                yield self
        finally:
            self.logger = before

    # ---- state ---------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where the batches are put, and the model with them."""
        return torch.device(getattr(self.dls, "device", None) or default_device())

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

    def _loss_of_data(self) -> Callable[..., Tensor]:
        task = getattr(self.dls, "task", None)
        if task is None:
            raise TrainingError(
                "The data does not tell which loss fits its targets. Pass one: "
                "Learner(dls, model, loss_func=F.cross_entropy)."
            )
        return loss_for_task(task)


def silent(cells: list[Any]) -> None:
    """Log nothing."""


def _plain(value: Any) -> Any:
    return value.as_subclass(Tensor) if isinstance(value, Tensor) else value
