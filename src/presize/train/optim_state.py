"""An optimizer's state as named tensors and JSON, and back."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from presize.core.errors import ModelFileError
from presize.train.layout import follow_layout

# How an optimizer computes, not what: these stay as they are on the machine that goes on.
_MACHINE = frozenset({"foreach", "fused", "capturable", "differentiable"})


def flatten_optimizer(opt: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the state of `opt` as tensors named "weight.entry", and JSON for all the rest.

    Both go into a file by `save_state`, and back by `restore_optimizer`; a run that is restored
    so goes on to the same bits.
    """
    state = opt.state_dict()
    tensors: dict[str, Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for index, entries in state["state"].items():
        plain[str(index)] = {}
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                plain[str(index)][name] = value
    groups = [
        {key: _plain(value) for key, value in group.items() if key not in _MACHINE}
        for group in state["param_groups"]
    ]
    return tensors, {"class": type(opt).__name__, "state": plain, "param_groups": groups}


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.item() if value.ndim == 0 else value.tolist()
    return list(value) if isinstance(value, tuple) else value


def restore_optimizer(
    opt: Optimizer, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]
) -> None:
    """Put a state from `flatten_optimizer` into `opt`, made for the same model.

    Args:
        opt: changed in place; rates, momenta and counters become those of the state. Whether it
            runs fused stays as it is.
        tensors: as `flatten_optimizer` returned them, on any device.
        meta: likewise.

    Raises:
        ModelFileError: it is the state of another optimizer, or of another model, or of none.
    """
    try:
        _restore(opt, tensors, meta)
    except ModelFileError:
        raise
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"The state of the optimizer in the file is not valid ({type(error).__name__}: "
            f"{error!s:.200}): it was changed since it was written. Load the weights alone: "
            "learn.load(file, with_opt=False)."
        ) from error


def _restore(opt: Optimizer, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    _check_same(opt, meta)
    state: dict[int, dict[str, Any]] = {
        int(index): dict(entries) for index, entries in meta["state"].items()
    }
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value.clone()
    _check_shapes(opt, state)
    groups = []
    for now, then in zip(opt.param_groups, meta["param_groups"], strict=True):
        kept = {key: now[key] for key in _MACHINE if key in now}
        values = {
            key: tuple(value) if isinstance(now.get(key), tuple) else value
            for key, value in then.items()
        }
        groups.append(values | kept)
    opt.load_state_dict({"state": state, "param_groups": groups})
    follow_layout(opt)


def _check_same(opt: Optimizer, meta: Mapping[str, Any]) -> None:
    if meta.get("class") != type(opt).__name__:
        raise ModelFileError(
            f"The checkpoint has the state of {meta.get('class')}, but this run uses "
            f"{type(opt).__name__}. Make the learner with the same opt_func, or load the weights "
            "alone."
        )
    now = [len(group["params"]) for group in opt.param_groups]
    then = [len(group["params"]) for group in meta["param_groups"]]
    if now != then:
        raise ModelFileError(
            f"The checkpoint's optimizer has parameter groups of {then} weights, this one of "
            f"{now}. Make the model and the splitter as they were, or load the weights alone."
        )


def _check_shapes(opt: Optimizer, state: Mapping[int, Mapping[str, Any]]) -> None:
    weights = [param for group in opt.param_groups for param in group["params"]]
    for index, entries in state.items():
        for name, value in entries.items():
            fits = not isinstance(value, Tensor) or value.numel() == 1
            if not fits and (index >= len(weights) or value.shape != weights[index].shape):
                shape = list(weights[index].shape) if index < len(weights) else "nothing"
                raise ModelFileError(
                    f"The checkpoint's `{name}` of weight {index} has shape {list(value.shape)}, "
                    f"but that weight has {shape}. Make the model as it was, or load the weights "
                    "alone."
                )
