"""All that a run is made of at one moment, taken from a learner and put back into one."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from presize.callbacks.base import Callback
from presize.callbacks.progress import ProgressCallback
from presize.callbacks.run_data import check_data as check_data
from presize.callbacks.run_data import describe_data as describe_data
from presize.core.settings import made_with
from presize.data.position import Resumable
from presize.data.warned import warn_user
from presize.train.layout import follow_layout
from presize.train.loss_state import restore_unsaved_state, unsaved_state
from presize.train.optim_state import flatten_optimizer, restore_optimizer
from presize.train.precision import Precision
from presize.train.random_state import (
    generator_states,
    random_state,
    restore_generators,
    restore_random_state,
)
from presize.train.weights_state import load_weights

if TYPE_CHECKING:
    from presize.learner import Learner

# The same prefixes as in the files of `learn.save`, so that `learn.load` reads checkpoints too.
WEIGHTS = "model."
OPTIMIZER = "optimizer."
_FREE = (ProgressCallback.__name__, "Checkpoints")
_UNSAVED = "unsaved."  # what is in no state_dict of the model


def shared_state(
    learn: "Learner", data: dict[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what all processes that train together have alike: weights, optimizer, settings.

    Args:
        data: from `describe_data`; it takes a while where there are many items.
    """
    assert learn.opt is not None
    tensors = {WEIGHTS + name: value for name, value in _weights(learn).items()}
    unsaved = unsaved_state(learn.model, learn.loss_func)
    tensors |= {_UNSAVED + name: value for name, value in unsaved.items()}
    averages, optimizer = flatten_optimizer(learn.opt)
    tensors |= {OPTIMIZER + name: value for name, value in averages.items()}
    meta = {
        "optimizer": optimizer,
        "frozen": [n for n, p in learn.model.named_parameters() if not p.requires_grad],
        "precision": learn.precision.state_dict(),
        "accumulate": learn.accumulate,
        "channels_last": learn.channels_last,
        "compile": learn.compile,
        "parts": dict(learn.parts.room),
        "data": data,
    }
    return tensors, meta


def own_state(learn: "Learner", *, over: bool) -> dict[str, Any]:
    """Return what each process has by itself: callbacks, counters, loaders, random states.

    Args:
        over: whether the epoch is done; else the training part goes on with the next batch.
    """
    state = {
        "train_iter": learn.train_iter,
        "pct_train": learn.pct_train,
        "callbacks": {name: cb.state_dict() for name, cb in named(learn.cbs).items()},
        "train": _loader_state(learn.dls.train, over=over),
        "valid": _loader_state(learn.dls.valid, over=True),
        "random": random_state(learn.place),
        "generators": [generator_states(dl) for dl in (learn.dls.train, learn.dls.valid)],
    }
    if not over and learn.recorder.train_metrics:
        state["metrics"] = [metric.state_dict() for metric in learn.metrics]
    if over:
        # Gradients of a cancelled step wait for more, also across the end of an epoch.
        grads = {n: p.grad for n, p in learn.model.named_parameters() if p.grad is not None}
        state["gradients"] = grads
    return state


def can_stop_in_epoch(learn: "Learner") -> str | None:
    """Return why there can be no checkpoint between two batches; None if there can."""
    if not isinstance(learn.dls.train, Resumable):
        kind = type(learn.dls.train).__name__
        return f"a {kind} cannot begin in the middle of a pass"
    if learn.recorder.train_metrics:
        for metric in learn.metrics:
            if not metric.resumable:
                return f"the metric `{metric.name}` has no state_dict"
    return None


def put_back_shared(learn: "Learner", tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Make weights, optimizer and settings those of a checkpoint.

    Raises:
        ModelFileError: it is the state of another model or optimizer.
    """
    assert learn.opt is not None
    load_weights(learn.model, _part(tensors, WEIGHTS))
    restore_unsaved_state(learn.model, learn.loss_func, _part(tensors, _UNSAVED))
    restore_optimizer(learn.opt, _part(tensors, OPTIMIZER), meta["optimizer"])
    frozen = set(meta["frozen"])
    for name, parameter in learn.model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    learn.precision.load_state_dict(meta["precision"])
    learn.accumulate, learn.parts.room = meta["accumulate"], dict(meta["parts"])


def put_back_own(learn: "Learner", state: dict[str, Any]) -> None:
    """Make counters, callbacks, loaders and random states those of a checkpoint."""
    learn.train_iter, learn.pct_train = state["train_iter"], state["pct_train"]
    present = named(learn.cbs)
    for name, kept in state["callbacks"].items():
        if name in present:
            present[name].load_state_dict(kept)
    for loader, name in ((learn.dls.train, "train"), (learn.dls.valid, "valid")):
        if isinstance(loader, Resumable) and state[name] is not None:
            loader.load_state_dict(state[name])
    for loader, states in zip((learn.dls.train, learn.dls.valid), state["generators"], strict=True):
        restore_generators(loader, states)
    for metric, kept in zip(learn.metrics, state.get("metrics", ()), strict=False):
        metric.load_state_dict(kept)
    parameters = dict(learn.model.named_parameters())
    for name, gradient in state.get("gradients", {}).items():
        parameters[name].grad = gradient.to(parameters[name].device)
    assert learn.opt is not None
    follow_layout(learn.opt)  # what is read from a file lies in the usual one
    restore_random_state(state["random"], learn.place)


def compute_as(learn: "Learner", meta: dict[str, Any]) -> str:
    """Let a learner compute as a run did: precision, layout, compiler; before it is placed.

    Returns:
        What was another setting until now, in words; nothing if all were alike.
    """
    kind, changed = meta["precision"]["kind"], []
    if learn.precision.kind != kind:
        changed.append(f"precision={kind!r}")
        learn.precision = Precision(kind)
    for name in ("channels_last", "compile"):
        if getattr(learn, name) != meta[name]:
            changed.append(f"{name}={meta[name]!r}")
            setattr(learn, name, meta[name])
    return ", ".join(changed)


def warn_of_others(learn: "Learner", state: dict[str, Any], call: dict[str, Any]) -> None:
    """Warn of callbacks that the run had and that are not there now, that are new, or others.

    Args:
        state: from `own_state`.
        call: what was called then, with the settings of its callbacks.
    """
    then, now = set(state["callbacks"]), set(named(learn.cbs))
    names = [*dict.fromkeys((*state["callbacks"], *named(learn.cbs)))]
    missing = [name for name in names if _counts(name) and name in then - now]
    if missing:
        warn_user(
            f"The run had callbacks that are not there now: {_kinds(missing)}. It goes on without "
            "them, and will not be the run that it was; give them again, learn.resume(cbs=[...])."
        )
    new = [name for name in names if _counts(name) and name in now - then]
    if new:
        warn_user(
            f"The run had no {_kinds(new)}, and goes on with it: if that changes how it trains, it "
            "will not be the run that it was."
        )
    settings = (learn.run.call or call)["settings"]
    pairs = [(given, settings.get(name, given)) for name, given in call["settings"].items()]
    for given, other in pairs:
        if other != given:
            warn_user(
                f"The run had {given}, and goes on with {other} in its place: it will not be the "
                "run that it was. Give callbacks as they were, those of a class in their order."
            )
            return  # of two that have changed places the other one, too


def settings_of(cbs: Iterable[Callback]) -> dict[str, str]:
    """Return by the names of `named` what callbacks were made with."""
    return {name: made_with(cb) for name, cb in named(cbs).items() if _counts(name)}


def _counts(name: str) -> bool:
    """Return whether a run may be another one without a callback of this name."""
    kind = name.partition(" ")[0]
    # A bar may be shown or not; where and how often checkpoints are written may change.
    return not kind.startswith("_") and kind not in _FREE


def _kinds(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(name.partition(" ")[0] for name in names))


def named(cbs: Iterable[Callback]) -> dict[str, Callback]:
    """Return callbacks by the name of their class, and a number where there are several of it."""
    found: dict[str, Callback] = {}
    for cb in cbs:
        kind = type(cb).__name__
        count = sum(name.partition(" ")[0] == kind for name in found)
        found[kind if not count else f"{kind} {count + 1}"] = cb
    return found


def finite(learn: "Learner") -> bool:
    """Say whether the loss of this batch is a number; waits for the device."""
    return bool(torch.isfinite(learn.loss.detach()).all())


def _weights(learn: "Learner") -> dict[str, Tensor]:
    return {n: v for n, v in learn.model.state_dict().items() if isinstance(v, Tensor)}


def _loader_state(loader: Any, *, over: bool) -> dict[str, Any] | None:
    if not isinstance(loader, Resumable):
        return None
    state: dict[str, Any] = dict(loader.state_dict())
    # A pass that was cancelled half way is not gone on with: the next epoch begins a new one.
    return state | {"epoch": loader.epoch, "batch": 0} if over else state


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
