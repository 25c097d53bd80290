"""Puts a learner back as it was, whatever was trained with it in between."""

import copy
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from presize.core.collections import L
from presize.data.loaders import DataLoaders
from presize.data.position import Resumable
from presize.train.loss_state import with_loss
from presize.train.metrics import Metric
from presize.train.precision import Precision
from presize.train.random_state import (
    generator_states,
    random_state,
    restore_generators,
    restore_random_state,
)

if TYPE_CHECKING:
    from presize.learner import Learner

Restore = Callable[[], None]
# What the loop and a fit set on the learner.
_OF_THE_LOOP = (
    *("epoch", "n_epoch", "iter", "n_iter", "train_iter", "pct_train", "training", "dl", "place"),
    *("xb", "yb", "typed_batch", "pred", "loss", "share", "batch_cancelled", "stepped", "n_inp"),
    *("opt", "forward", "precision", "metrics", "recorder", "_items", "calibration"),
    "drift_reference",
)
_CONTAINERS = (list, dict, set, deque)


@contextmanager
def no_trace(learn: "Learner") -> Iterator[None]:
    """Put everything back afterwards, also where a fit is under way.

    That is: weights, buffers, gradients and what is frozen, of the model and of a loss that is a
    module; the optimizer and the loss scale; the recorder, the callbacks, the metrics; the place in
    the data; the random states, also those of the loaders' own generators. What takes part in
    between is a copy where that costs little, so that the thing itself is never touched.
    """
    device = learn.device
    attributes = {name: vars(learn)[name] for name in _OF_THE_LOOP if name in vars(learn)}
    cbs = list(learn.cbs)
    restores = [
        _kept_model(with_loss(learn.model, learn.loss_func)),
        _kept_optimizer(learn.opt),
        _kept_loaders(learn),
        *map(_kept_generators, (learn.dls.train, learn.dls.valid)),
        _kept_attributes(learn.accumulation),
        _kept_attributes(learn.parts),
        *map(_kept_attributes, {id(cb): cb for cb in (learn.recorder, *cbs)}.values()),
    ]
    random = random_state(device)
    learn.metrics = L(copied_metric(metric) for metric in learn.metrics)
    learn.precision = _copied_precision(learn.precision)
    learn.calibration = None  # a fit would drop it, and warn of that
    try:
        yield
    finally:
        for restore in restores:
            restore()
        vars(learn).update(attributes)
        learn.cbs.replace(cbs)
        restore_random_state(random, device)


def _kept_model(model: nn.Module) -> Restore:
    """Keep weights and buffers, what they are trained with, and the modes of the layers."""
    weights = [(p, p.detach().clone(), p.requires_grad, p.grad) for p in model.parameters()]
    # Buffers by their places: a layer may put another tensor there, and some are in no state_dict.
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    modes = [(module, module.training) for module in model.modules()]
    for weight, *_ in weights:
        weight.grad = None  # else those of a step under way would be added to

    def restore() -> None:
        with torch.no_grad():
            for weight, value, trained, gradient in weights:
                weight.copy_(value)
                weight.requires_grad_(trained)
                weight.grad = gradient
            for module, name, buffer, value in buffers:
                module._buffers[name] = buffer.copy_(value)
        for module, training in modes:
            module.training = training

    return restore


def _kept_optimizer(opt: Optimizer | None) -> Restore:
    """Keep averages and hyper-parameters; what steps in between has copies of the averages."""
    if opt is None:
        return lambda: None
    if "state" not in vars(opt):  # one that is wrapped around another
        whole = copy.deepcopy(opt.state_dict())
        return lambda: opt.load_state_dict(whole)
    state = opt.state
    groups = [(g, _cloned({k: v for k, v in g.items() if k != "params"})) for g in opt.param_groups]
    # The keys are the weights themselves, which stay.
    opt.state = defaultdict(dict, {weight: _cloned(kept) for weight, kept in state.items()})

    def restore() -> None:
        opt.state = state
        for group, hypers in groups:
            group.update(hypers)

    return restore


def _kept_loaders(learn: "Learner") -> Restore:
    """Let a copy of the training loader be read, whose place is its own."""
    dls: Any = learn.dls
    train = dls.train
    if isinstance(dls, DataLoaders) and isinstance(train, Resumable):
        dls.loaders[0] = copy.copy(train)

        def restore() -> None:
            dls.loaders[0] = train

        return restore
    epoch = getattr(train, "epoch", None)
    return lambda: None if epoch is None else train.set_epoch(epoch)


def _kept_generators(loader: Any) -> Restore:
    """Keep where generators are that a loader, or its sampler, draws from."""
    states = generator_states(loader)
    return lambda: restore_generators(loader, states)


def _kept_attributes(owner: Any) -> Restore:
    """Keep what an object has, its lists and tensors with what is in them."""
    attributes = dict(getattr(owner, "__dict__", {}))
    contents = [_kept_contents(value) for value in attributes.values()]

    def restore() -> None:
        if attributes or hasattr(owner, "__dict__"):
            vars(owner).clear()
            vars(owner).update(attributes)
        for put_back in contents:
            put_back()

    return restore


def _kept_contents(value: Any) -> Restore:
    if type(value) in _CONTAINERS:
        inner = value.values() if isinstance(value, dict) else value
        contents = [_kept_contents(item) for item in inner]
        items = copy.copy(value)

        def refill() -> None:
            value.clear()
            value.extend(items) if isinstance(value, list | deque) else value.update(items)
            for put_back in contents:
                put_back()

        return refill
    if isinstance(value, Tensor) and not (value.requires_grad or 0 in value.stride()):
        before = value.clone()

        def rewrite() -> None:
            value.copy_(before)

        return rewrite
    return lambda: None


def _cloned(value: Any) -> Any:
    """Return tensors, and dicts and lists of them, with memory of their own."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _cloned(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_cloned, value))
    return value


def copied_metric(metric: Metric) -> Metric:
    """Return a copy, or the metric itself where it cannot be copied."""
    try:
        return copy.deepcopy(metric)
    except Exception:
        return metric


def _copied_precision(precision: Precision) -> Precision:
    """Return one whose loss scale begins where that of `precision` is."""
    other = Precision(precision.kind)
    other.load_state_dict(precision.state_dict())
    return other
