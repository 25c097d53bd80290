"""All that a run is made of at one moment, taken from a learner and put back into one."""

import zlib
from collections.abc import Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from presize.callbacks.base import Callback
from presize.core.errors import TrainingError
from presize.data.position import Resumable
from presize.data.warned import warn_user
from presize.train.optim_state import flatten_optimizer, restore_optimizer
from presize.train.precision import Precision
from presize.train.random_state import random_state, restore_random_state
from presize.train.weights_state import load_weights

if TYPE_CHECKING:
    from presize.learner import Learner

# The same prefixes as in the files of `learn.save`, so that `learn.load` reads checkpoints too.
WEIGHTS = "model."
OPTIMIZER = "optimizer."


def shared_state(
    learn: "Learner", data: dict[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what all processes that train together have alike: weights, optimizer, settings.

    Args:
        data: from `describe_data`; it takes a while where there are many items.
    """
    assert learn.opt is not None
    tensors = {WEIGHTS + name: value for name, value in _weights(learn).items()}
    averages, optimizer = flatten_optimizer(learn.opt)
    tensors |= {OPTIMIZER + name: value for name, value in averages.items()}
    meta = {
        "optimizer": optimizer,
        "frozen": [n for n, p in learn.model.named_parameters() if not p.requires_grad],
        "precision": learn.precision.state_dict(),
        "accumulate": learn.accumulate,
        "channels_last": learn.channels_last,
        "compile": learn.compile,
        "parts": learn.parts.count,
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
    restore_optimizer(learn.opt, _part(tensors, OPTIMIZER), meta["optimizer"])
    frozen = set(meta["frozen"])
    for name, parameter in learn.model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    learn.precision.load_state_dict(meta["precision"])
    learn.accumulate, learn.parts.count = meta["accumulate"], meta["parts"]


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
    for metric, kept in zip(learn.metrics, state.get("metrics", ()), strict=False):
        metric.load_state_dict(kept)
    parameters = dict(learn.model.named_parameters())
    for name, gradient in state.get("gradients", {}).items():
        parameters[name].grad = gradient.to(parameters[name].device)
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


def warn_of_missing(learn: "Learner", state: dict[str, Any]) -> None:
    """Warn of callbacks that the checkpoint has a state of, and that do not take part now."""
    present = named(learn.cbs)
    missing = [name for name, kept in state["callbacks"].items() if kept and name not in present]
    if missing:
        kinds = ", ".join(dict.fromkeys(name.partition(" ")[0] for name in missing))
        warn_user(
            f"The run had callbacks that are not there now: {kinds}. It goes on without them, and "
            "will not be the run that it was; give them again, learn.resume(cbs=[...])."
        )


def named(cbs: Iterable[Callback]) -> dict[str, Callback]:
    """Return callbacks by the name of their class, and a number where there are several of it."""
    found: dict[str, Callback] = {}
    for cb in cbs:
        kind = type(cb).__name__
        count = sum(name.partition(" ")[0] == kind for name in found)
        found[kind if not count else f"{kind} {count + 1}"] = cb
    return found


def describe_data(learn: "Learner") -> dict[str, Any]:
    """Return what must be the same of the data for a run to go on with it."""
    train = learn.dls.train
    items, others = (getattr(loader, "dataset", None) for loader in (train, learn.dls.valid))
    vocab = getattr(items, "vocab", None)
    return {
        "items": _length(items),
        "valid": _length(others),
        "bs": getattr(train, "bs", None),
        "batches": len(train),
        "vocab": None if vocab is None else [str(name) for name in vocab],
        "names": [_digest(items), _digest(others)],
    }


def check_data(learn: "Learner", then: dict[str, Any], *, same_world: bool) -> None:
    """Refuse to go on with other data than a run began with.

    Raises:
        TrainingError: says what is another.
    """
    now = describe_data(learn)
    words = {
        "items": "items to train on",
        "valid": "items to validate on",
        "bs": "items in a batch",
        "batches": "batches in an epoch",
        "vocab": "as classes",
    }
    for key, what in words.items():
        if now[key] != then[key] and (same_world or key != "batches"):
            raise TrainingError(
                f"The checkpoint is of a run with {_shown(then[key])} {what}, and this learner has "
                f"{_shown(now[key])}. A run goes on only with the data that it began with; to "
                "train on with other data take its weights alone, learn.load(the checkpoint)."
            )
    if now["names"] != then["names"]:
        raise TrainingError(
            "The checkpoint is of a run with other pictures, or with the same ones in another "
            "order or split: are the seed and the splitter those of that run? A run goes on only "
            "with the data that it began with."
        )


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


def _length(dataset: Any) -> int | None:
    try:
        return len(dataset)
    except TypeError:
        return None


def _digest(dataset: Any) -> int | None:
    """Return a checksum of the names of files with their folders; the data may have moved."""
    items = getattr(dataset, "items", None)
    if not isinstance(items, list) or not all(isinstance(item, str | PurePath) for item in items):
        return None
    names = (item if isinstance(item, str) else "/".join(item.parts[-2:]) for item in items)
    return zlib.crc32("\0".join(names).encode("utf-8", "surrogateescape"))


def _shown(value: Any) -> str:
    text = ", ".join(value) if isinstance(value, list) else f"{value}"
    return text if len(text) <= 200 else f"{text[:200]}…"
