"""Compiles a model for training, in place: its parameters, their names and its class stay.

What is compiled is the pass over training batches of the regular size, with that size built in. A
short last batch, validation and single predictions run as they did: to compile for each of them
takes longer than it saves, and layers can be looked into there with hooks. So which way a batch
goes depends on the batch alone, and a run that is resumed goes the ways of one that was not.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from presize.core.errors import TrainingError, did_you_mean
from presize.train.microbatches import next_smaller, sizes_of

Mode: TypeAlias = Literal[
    "default", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune"
]
MODES: tuple[Mode, ...] = get_args(Mode)
# These replay a recorded sequence of kernels, whose results the next step writes over.
_REPLAYED = ("reduce-overhead", "max-autotune")


def compile_model(
    model: nn.Module,
    mode: bool | str = True,
    *,
    batch_size: int | None = None,
    backend: str | Callable[..., Any] = "inductor",
) -> None:
    """Let `model` train compiled, by `torch.compile`; the compiling itself waits for a batch.

    A model that is compiled so already is left alone, and so is, where `mode` is False, one that
    somebody else has compiled.

    Args:
        mode: True or "default"; "reduce-overhead" for small models, whose kernels a GPU waits for;
            "max-autotune-no-cudagraphs" and "max-autotune", which take minutes to compile; False
            for none, see `uncompile`.
        batch_size: the items of a regular batch, whose parts are compiled for as well once memory
            ran out; None compiles for the first size that comes and, with a size that may vary,
            once more for all others.
        backend: what torch.compile hands the graph to.

    Raises:
        ValueError: an unknown mode.
    """
    if mode is False:
        uncompile(model)
        return
    name = "default" if mode is True else mode
    if name not in MODES:
        raise ValueError(
            f"compile is True, False or one of {', '.join(MODES)}, but got {mode!r}."
            f"{did_you_mean(str(mode), MODES)}"
        )
    there = model._compiled_call_impl
    if isinstance(there, CompiledPass) and there.settings == (name, batch_size, backend):
        return
    model._compiled_call_impl = CompiledPass(model, name, batch_size, backend)


def uncompile(model: nn.Module) -> None:
    """Let `model` train as it is written again."""
    if isinstance(model._compiled_call_impl, CompiledPass):
        model._compiled_call_impl = None


def is_compiled(model: nn.Module) -> bool:
    """Say whether `compile_model` was used on it. Copies of the model are not compiled."""
    return isinstance(model._compiled_call_impl, CompiledPass)


class CompiledPass:
    """What calling a compiled model comes to: the compiled pass, or the plain one.

    Args:
        model: whose pass it is.
        mode: one of `MODES`.
        batch_size: see `compile_model`.
        backend: see `compile_model`.
    """

    def __init__(self, model: nn.Module, mode: str, batch_size: int | None, backend: Any) -> None:
        self.settings = mode, batch_size, backend
        self._plain: Callable[..., Any] = model._call_impl
        options: dict[str, Any] = {"backend": backend}
        if backend == "inductor":
            options["mode"] = mode
        # A regular batch has one size; else PyTorch finds out by itself which sizes vary.
        dynamic = None if batch_size is None else False
        self._compiled: Callable[..., Any] = torch.compile(self._plain, dynamic=dynamic, **options)
        self._model, self._replayed = model, mode in _REPLAYED
        self._sizes = None if batch_size is None else frozenset(_parts(batch_size))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the model makes of a batch."""
        if not self._chosen(args):
            return self._plain(*args, **kwargs)
        try:
            if not self._replayed:
                return self._compiled(*args, **kwargs)
            torch.compiler.cudagraph_mark_step_begin()
            return _copied(self._compiled(*args, **kwargs))
        except Exception as error:
            if _of_the_compiler(error):
                raise TrainingError(_why(error)) from error
            raise

    def _chosen(self, args: tuple[Any, ...]) -> bool:
        if not (self._model.training and torch.is_grad_enabled()):
            return False
        if self._sizes is not None and not (
            args and isinstance(args[0], Tensor) and args[0].ndim and len(args[0]) in self._sizes
        ):
            return False
        # The recorded kernels would write over gradients that wait to be added up.
        return not (self._replayed and self._gradients_wait())

    def _gradients_wait(self) -> bool:
        return any(weight.grad is not None for weight in self._model.parameters())


def _parts(batch_size: int) -> list[int]:
    """Return a batch size and those of the parts that it may be cut into when memory runs out."""
    sizes, room = [batch_size], batch_size
    while room > max(2, batch_size // 64):
        room = next_smaller(room)
        parts = sizes_of(batch_size, room)
        sizes += parts
        room = max(parts)
    return sizes


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        items = [_copied(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _of_the_compiler(error: Exception) -> bool:
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor", "torch.fx"))


def _why(error: Exception) -> str:
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return (
        f"torch.compile could not compile the model: {type(error).__name__}: {first} Train it as "
        "it is with learn.compile = False. On a CPU it needs a C++ compiler, on a GPU the package "
        "triton, which not every system has."
    )
