"""A table of a model's layers: output shapes, parameters, and which of them are trained."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from presize.models.body import evaluating

_TITLES = ("Layer", "Type", "Output", "Parameters", "Trainable")


@dataclass(frozen=True)
class _Row:
    name: str
    kind: str
    output: str
    params: tuple[nn.Parameter, ...]

    def cells(self) -> tuple[str, ...]:
        count = f"{sum(p.numel() for p in self.params):,}" if self.params else ""
        return self.name, self.kind, self.output, count, _trained(self.params)


def model_summary(model: nn.Module, *input_sizes: Sequence[int]) -> str:
    """Return a table of the layers that `model` calls, in their order, and the sums.

    One batch of zeros goes through the model in eval mode, and leaves no trace: hooks, modes,
    statistics, gradients and random numbers are as before.

    Args:
        model: any module.
        input_sizes: the shape of each of its inputs, with the batch, as in (64, 3, 224, 224).

    Raises:
        TypeError: a size is not a sequence of whole numbers.
        ValueError: the model fails on these inputs; the text is its own.
    """
    for size in input_sizes:
        if isinstance(size, int) or not all(isinstance(n, int) for n in size):
            raise TypeError(
                "model_summary wants the shape of each input with its batch, such as "
                f"(64, 3, 224, 224), but got {size!r}."
            )
    rows = _run(model, input_sizes)
    table = _table([_TITLES, *(row.cells() for row in rows)])
    shapes = ", ".join(_dims(size) for size in input_sizes)
    return f"{type(model).__name__} (input: {shapes})\n{table}\n{_sums(model)}"


def _run(model: nn.Module, input_sizes: Sequence[Sequence[int]]) -> list[_Row]:
    """Call `model` on zeros, with a hook on each layer that has no children or own parameters."""
    rows: list[_Row] = []
    seen: set[int] = set()
    like = next(model.parameters(), torch.empty(0))
    inputs = [torch.zeros(*size, device=like.device, dtype=like.dtype) for size in input_sizes]
    devices = [like.device] if like.device.type == "cuda" else []
    with ExitStack() as undo:
        undo.enter_context(torch.random.fork_rng(devices=devices))
        for name, layer in model.named_modules():
            own = tuple(layer.parameters(recurse=False))
            if own or not any(True for _ in layer.children()):

                def note(m: nn.Module, _: Any, out: Any, name: str = name, own: Any = own) -> None:
                    # A layer that is called again shows its weights once.
                    new = tuple(p for p in own if id(p) not in seen)
                    seen.update(id(p) for p in own)
                    rows.append(_Row(name or "(model)", type(m).__name__, _outputs(out), new))

                undo.callback(layer.register_forward_hook(note).remove)
        undo.enter_context(evaluating(model))
        try:
            model(*inputs)
        except Exception as e:
            at = f" after the layer `{rows[-1].name}`" if rows else ""
            shapes = ", ".join(_dims(size) for size in input_sizes)
            raise ValueError(f"{type(model).__name__} fails{at} on inputs of {shapes}: {e}") from e
    return rows


def _outputs(out: Any) -> str:
    if isinstance(out, Tensor):
        return _dims(out.shape)
    if isinstance(out, dict):
        out = list(out.values())
    if isinstance(out, list | tuple):
        return ", ".join(_outputs(o) for o in out)
    return type(out).__name__


def _dims(size: Iterable[int]) -> str:
    return " x ".join(str(n) for n in size)


def _trained(params: Sequence[nn.Parameter]) -> str:
    if not params:
        return ""
    flags = {p.requires_grad for p in params}
    return "partly" if len(flags) == 2 else "yes" if True in flags else "no"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(_TITLES))]
    lines = []
    for row in rows:
        # Numbers stand to the right, all else to the left.
        cells = [
            c.rjust(w) if i == 3 else c.ljust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([lines[0], rule, *lines[1:], rule])


def _sums(model: nn.Module) -> str:
    total = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return (
        f"Total parameters: {total:,}\n"
        f"Trainable:        {trained:,}\n"
        f"Frozen:           {total - trained:,}"
    )
