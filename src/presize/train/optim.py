"""Optimizers: torch.optim beneath, with the names and defaults of the training recipes."""

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor
from torch.optim import Optimizer as Optimizer

from presize.core.errors import did_you_mean
from presize.train.hyper import get_hyper as get_hyper
from presize.train.hyper import has_momentum as has_momentum
from presize.train.hyper import hyper_names as hyper_names
from presize.train.hyper import set_hyper as set_hyper
from presize.train.param_groups import Params, as_param_groups
from presize.train.param_groups import param_groups_for as param_groups_for
from presize.train.parts import lies_in_parts
from presize.train.schedules import LearningRate, rates_for

_FEW = 4
_Made = TypeVar("_Made", bound=Optimizer)

OptFunc: TypeAlias = Callable[..., Optimizer]
"""What a learner takes as `opt_func`: called with layer groups, `lr=` and maybe `wd=`."""


def SGD(
    params: Params,
    lr: LearningRate = 1e-3,
    mom: float = 0.0,
    wd: float = 0.0,
    *,
    decouple_wd: bool = True,
) -> torch.optim.SGD:
    """Stochastic gradient descent; momentum is undampened: `v = mom * v + grad`.

    Args:
        params: tensors, or a list of them for each layer group, or torch parameter groups.
        lr: learning rate; a number, a slice, or one for each layer group.
        mom: momentum, 0..1.
        wd: weight decay.
        decouple_wd: shrink the weights by `lr * wd` before the step (arXiv:1711.05101) rather
            than adding `wd * weight` to the gradient.
    """
    groups = as_param_groups(params, "SGD")
    # For the few weights of a linear model the setup of one kernel for all is the larger part: a
    # step took 17.7 us with it, 14.0 with PyTorch's own choice, and 11.0 in the plain loop over
    # weights (2 weights in 2 groups, 1 core, n=5).
    # Weights in parts have no such kernel for SGD, unlike for Adam; PyTorch then chooses.
    weights = [p for g in groups for p in g["params"]]
    in_parts = any(map(lies_in_parts, weights))
    how: dict[str, Any] = {"fused": None if in_parts else _fused(groups)}
    if len(weights) <= _FEW:
        how = {"foreach": False}
    opt = torch.optim.SGD(groups, lr=0.0, momentum=mom, weight_decay=wd, **how)
    return _finished(opt, lr, decouple=decouple_wd)


def Adam(
    params: Params,
    lr: LearningRate = 1e-3,
    mom: float = 0.9,
    sqr_mom: float = 0.99,
    eps: float = 1e-5,
    wd: float = 0.01,
    *,
    decouple_wd: bool = True,
) -> torch.optim.Adam:
    """Adam (arXiv:1412.6980), bias-corrected; with `decouple_wd` it is AdamW (arXiv:1711.05101).

    Args:
        params: tensors, or a list of them for each layer group, or torch parameter groups.
        lr: learning rate; a number, a slice, or one for each layer group.
        mom: decay of the running mean of gradients, 0..1 (torch's first beta).
        sqr_mom: decay of the running mean of squared gradients, 0..1 (torch's second beta).
        eps: added to the root of the latter.
        wd: weight decay.
        decouple_wd: shrink the weights by `lr * wd` rather than adding to the gradient.
    """
    groups = as_param_groups(params, "Adam")
    kind = torch.optim.AdamW if decouple_wd else torch.optim.Adam
    opt = kind(groups, lr=0.0, betas=(mom, sqr_mom), eps=eps, weight_decay=wd, fused=_fused(groups))
    return _finished(opt, lr)


def RMSProp(
    params: Params,
    lr: LearningRate = 1e-3,
    sqr_mom: float = 0.99,
    mom: float = 0.0,
    wd: float = 0.0,
    *,
    eps: float = 1e-8,
    decouple_wd: bool = True,
) -> torch.optim.RMSprop:
    """RMSProp: gradients divided by the root of their running mean square, then momentum.

    Args:
        params: tensors, or a list of them for each layer group, or torch parameter groups.
        lr: learning rate; a number, a slice, or one for each layer group.
        sqr_mom: decay of the running mean of squared gradients, 0..1.
        mom: momentum, 0..1.
        wd: weight decay.
        eps: added to the root of the mean square.
        decouple_wd: shrink the weights by `lr * wd` rather than adding to the gradient.
    """
    groups = as_param_groups(params, "RMSProp")
    opt = torch.optim.RMSprop(groups, lr=0.0, alpha=sqr_mom, eps=eps, momentum=mom, weight_decay=wd)
    return _finished(opt, lr, decouple=decouple_wd)


def RAdam(
    params: Params,
    lr: LearningRate = 1e-3,
    mom: float = 0.9,
    sqr_mom: float = 0.99,
    eps: float = 1e-5,
    wd: float = 0.0,
    *,
    decouple_wd: bool = True,
) -> torch.optim.RAdam:
    """Adam whose first steps are held back until its variance is known (arXiv:1908.03265).

    Args:
        params: tensors, or a list of them for each layer group, or torch parameter groups.
        lr: learning rate; a number, a slice, or one for each layer group.
        mom: decay of the running mean of gradients, 0..1.
        sqr_mom: decay of the running mean of squared gradients, 0..1.
        eps: added to the root of the latter.
        wd: weight decay.
        decouple_wd: shrink the weights by `lr * wd` rather than adding to the gradient.
    """
    groups = as_param_groups(params, "RAdam")
    opt = torch.optim.RAdam(
        groups,
        lr=0.0,
        betas=(mom, sqr_mom),
        eps=eps,
        weight_decay=wd,
        decoupled_weight_decay=decouple_wd,
    )
    return _finished(opt, lr)


def OptimWrapper(
    params: Params,
    opt: type[Optimizer] | partial[Optimizer],
    *,
    lr: LearningRate = 1e-3,
    wd: float | None = None,
    mom: float | None = None,
    sqr_mom: float | None = None,
    **options: Any,
) -> Optimizer:
    """Make any optimizer class of torch.optim's kind work with layer groups and schedules.

    As an `opt_func`: `partial(OptimWrapper, opt=torch.optim.NAdam, momentum_decay=1e-3)`.

    Args:
        params: tensors, or a list of them for each layer group, or torch parameter groups.
        opt: the class, or a `partial` of it.
        lr: learning rate; a number, a slice, or one for each layer group.
        wd: weight decay as that class applies it; None leaves its own default.
        mom: momentum or first beta; None leaves the default.
        sqr_mom: second beta or alpha; None leaves the default.
        options: what else that class takes, under its own names; they cannot be listed here.

    Raises:
        TypeError: `opt` is no optimizer class, or does not take one of the options.
    """
    kind: object = opt
    if isinstance(opt, partial):
        kind, options = opt.func, {**opt.keywords, **options}
    if not (isinstance(kind, type) and issubclass(kind, Optimizer)):
        raise TypeError(
            "OptimWrapper wraps a class such as torch.optim.AdamW (opt=torch.optim.AdamW), "
            f"but got {opt!r}."
        )
    _check_options(kind, options)
    made = kind(as_param_groups(params, kind.__name__), **options)
    for hyper, value in (("wd", wd), ("mom", mom), ("sqr_mom", sqr_mom)):
        if value is not None:
            set_hyper(made, hyper, value)
    return _finished(made, lr)


def _check_options(kind: type[Optimizer], options: dict[str, Any]) -> None:
    takes = inspect.signature(kind).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in takes.values()):
        return
    known = [name for name in takes if name != "params"]
    for name in options:
        if name not in known:
            raise TypeError(
                f"{kind.__name__} has no option `{name}`.{did_you_mean(name, known)} "
                f"It has: {', '.join(known)}."
            )


def make_optimizer(
    opt_func: OptFunc, groups: Params, *, lr: LearningRate, wd: float | None = None
) -> Optimizer:
    """Call `opt_func` on layer groups; a bare torch.optim class is wrapped first.

    Args:
        opt_func: `Adam`, a partial of it, a torch.optim class, or a function of your own.
        groups: from `param_groups_for`.
        lr: learning rate; a number, a slice, or one for each layer group.
        wd: weight decay; None leaves the default of `opt_func`.
    """
    if isinstance(opt_func, type) and issubclass(opt_func, Optimizer):
        return OptimWrapper(groups, opt_func, lr=lr, wd=wd)
    options: dict[str, Any] = {"lr": lr} if wd is None else {"lr": lr, "wd": wd}
    if not callable(opt_func):
        raise TypeError(
            f"opt_func makes the optimizer, such as Adam, SGD or a class of torch.optim, but got "
            f"{opt_func!r}."
        )
    make: Callable[..., object] = opt_func
    opt = make(groups, **options)
    if not isinstance(opt, Optimizer):
        raise TypeError(
            f"opt_func must return a torch optimizer, but {opt_func!r} returned "
            f"{type(opt).__name__}. Wrap a class of your own: partial(OptimWrapper, opt=MyClass)."
        )
    return opt


def _fused(groups: Iterable[dict[str, Any]]) -> bool | None:
    # One kernel steps all weights. On CUDA it skips a step that overflowed in fp16 without asking
    # the device; on a CPU a step of AdamW on a resnet18 took 5 ms instead of 14 (2 cores, n=8).
    weights = [p for g in groups for p in g["params"]]
    kinds = {p.device.type for p in weights}
    able = kinds in ({"cuda"}, {"cpu"}) and all(p.is_floating_point() for p in weights)
    return True if able else None


def _finished(opt: _Made, lr: LearningRate, *, decouple: bool = False) -> _Made:
    last = 1 + max(int(group["layer_group"]) for group in opt.param_groups)
    set_hyper(opt, "lr", rates_for(lr, last))
    if decouple:
        for group in (*opt.param_groups, opt.defaults):
            group["wd"], group["weight_decay"] = group["weight_decay"], 0.0
        opt.register_step_pre_hook(_shrink_weights)
    return opt


def _shrink_weights(opt: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    found_inf: Tensor | None = getattr(opt, "found_inf", None)  # set by a GradScaler, if any
    for group in opt.param_groups:
        if group["wd"] == 0:
            continue
        weights = [p for p in group["params"] if p.grad is not None]
        if not weights:
            continue
        shrink = group["lr"] * group["wd"]
        if found_inf is not None:
            shrink = shrink * (1.0 - found_inf)
        with torch.no_grad():
            torch._foreach_mul_(weights, 1.0 - shrink)
