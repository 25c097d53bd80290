"""What a learner does before it computes: layer groups, rates, optimizer, device, precision."""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from presize.callbacks.base import Callback
from presize.callbacks.budget import TimeBudget
from presize.core.allocator import memory_kept
from presize.core.collections import L
from presize.core.device import same_place
from presize.core.errors import TrainingError
from presize.core.modules import tensors_of
from presize.data.labelcheck import check_vocab
from presize.models.groups import check_groups
from presize.models.small_maps import small_maps
from presize.models.summary import model_summary
from presize.train.compiling import compile_model
from presize.train.duration import Duration
from presize.train.layout import lay_out
from presize.train.optim import make_optimizer, param_groups_for, set_hyper
from presize.train.precision import Precision
from presize.train.rates import LearningRate, rates_for

if TYPE_CHECKING:
    from presize.learner import Learner

# Where torch's groups keep what a fit or its schedule may set. Not the rate: every fit sets it.
_HYPERS = ("momentum", "betas", "alpha", "wd", "weight_decay", "eps")
_INITIAL = "initial_"


def groups(learn: "Learner") -> list[list[nn.Parameter]]:
    """Return the parameters of each layer group, from input to output."""
    found = [list(group) for group in learn.splitter(learn.model)]
    check_groups(learn.model, found)
    return found


def rates(learn: "Learner", lr: LearningRate | None) -> NDArray[np.float64]:
    """Return one rate per layer group for a rate given as number, slice or sequence."""
    return rates_for(learn.lr if lr is None else lr, len(learn.groups()))


def create_opt(learn: "Learner") -> None:
    """Make a new optimizer over the layer groups."""
    parameters = param_groups_for(learn.model, learn.groups(), wd_bn_bias=learn.wd_bn_bias)
    learn.opt = make_optimizer(learn.opt_func, parameters, lr=float(learn.rates(None)[-1]))


def prepare_fit(
    learn: "Learner", lr: LearningRate | None, wd: float | None, *, reset_opt: bool
) -> None:
    """Put the model on the device of the data; make the optimizer; set its rates."""
    if getattr(learn.dls, "task", None) == "classification":
        check_vocab(learn.dls.vocab)
    learn.place_model()
    lay_out(learn.model, learn.opt, channels_last=learn.channels_last)
    compile_model(learn.model, learn.compile, batch_size=getattr(learn.dls.train, "bs", None))
    if reset_opt or learn.opt is None:
        learn.create_opt()
    assert learn.opt is not None
    _put_back_hypers(learn.opt)  # if its state is that of a checkpoint in the middle of a fit
    _keep_hypers(learn.opt)
    set_hyper(learn.opt, "lr", learn.rates(lr))
    decay = learn.wd if wd is None else wd
    if decay is not None:
        set_hyper(learn.opt, "wd", decay)


@contextmanager
def prepared(
    learn: "Learner", lr: LearningRate | None, wd: float | None, *, reset_opt: bool
) -> Iterator[None]:
    """Prepare a fit, inside a `with` block; then the optimizer has its own decay and momenta."""
    try:
        learn.prepare_fit(lr, wd, reset_opt=reset_opt)
        if learn.calibration is not None:
            from presize.train.calibration import drop_calibration  # for the few who calibrated

            drop_calibration(learn, "The fit")
        learn.drift_reference = None  # of a loaded file, with other weights and other pictures
        yield
    finally:
        if learn.opt is not None:
            _put_back_hypers(learn.opt)


@contextmanager
def at_work(
    learn: "Learner", cbs: Callback | Iterable[Callback] | None, max_time: Duration | None
) -> Iterator[None]:
    """Have what a fit needs while it runs: its own callbacks, memory, fast small maps."""
    learn.begin_step_again()  # a step that was cancelled keeps its gradients
    learn.parts.begin()
    budget = [] if max_time is None else [TimeBudget(max_time)]
    with (
        learn.added_cbs([*budget, *L(cbs)]),
        memory_kept(learn.device),
        small_maps(learn.model, learn.device),
        learn.precision.applied(learn.device),
    ):
        try:
            yield
        finally:
            learn.failing = False
            learn.forget_batch()


def _keep_hypers(opt: Optimizer) -> None:
    """Keep an optimizer's own values in its groups, so that a checkpoint has them as well."""
    for group in opt.param_groups:
        kept = [key for key in _HYPERS if key in group and not isinstance(group[key], Tensor)]
        group.update({_INITIAL + key: group[key] for key in kept})


def _put_back_hypers(opt: Optimizer) -> None:
    for group in opt.param_groups:
        for key in _HYPERS:
            if _INITIAL + key in group:
                value = group.pop(_INITIAL + key)
                group[key] = tuple(value) if isinstance(group[key], tuple) else value


def place_model(learn: "Learner", *, quick: bool = False) -> None:
    """Put the model where the batches go, if it is not there.

    Args:
        quick: on a CPU, look where its first tensor is alone: to look at all takes 0.3 ms after a
            forward of a resnet18. A forward through a model in two places fails; then ask again.

    Raises:
        TrainingError: it is on another accelerator, where somebody put it.
    """
    target, model = learn.device, learn.model
    # Asked before it is moved: `Module.to` walks over all weights, 2 ms for a resnet18 that is
    # in its place already, which would be felt in every `predict`.
    quick = quick and target.type == "cpu"
    asked = itertools.islice(tensors_of(model), 1 if quick else None)
    places = {t.device for t in asked}
    wrong = [place for place in places if not same_place(place, target)]
    for place in wrong:
        if place.type != "cpu":
            raise TrainingError(
                f"The model is on {place}, but the data comes on {target}. Put both on one "
                f"device: dls.to({str(place)!r}), or learn.model.to({str(target)!r})."
            )
    if wrong:
        model.to(target)
    if isinstance(learn.loss_func, nn.Module):
        weights = (*learn.loss_func.parameters(), *learn.loss_func.buffers())  # of its classes
        if not all(same_place(t.device, target) for t in weights):
            learn.loss_func.to(target)
    learn.place, learn.n_inp = target, getattr(learn.dls, "n_inp", None)
    learn.forward = learn.parallel.around(model)


def summary(learn: "Learner") -> str:
    """Return a table of the model's layers, output shapes and parameters."""
    batch = learn.dls.one_batch()
    learn.place_model()
    learn.take(0, batch)
    # One picture tells all shapes; a whole batch would take a CPU seconds.
    shapes = [(1, *x.shape[1:]) for x in learn.xb]
    learn.forget_batch()
    return model_summary(learn.model, *shapes)


def to_fp16(learn: "Learner") -> "Learner":
    """Compute in float16 where that is safe, with loss scaling; weights stay float32."""
    learn.precision = Precision("fp16")
    return learn


def to_bf16(learn: "Learner") -> "Learner":
    """Compute in bfloat16 where that is safe; weights stay float32."""
    learn.precision = Precision("bf16")
    return learn


def to_fp32(learn: "Learner") -> "Learner":
    """Compute in float32."""
    learn.precision = Precision("fp32")
    return learn
