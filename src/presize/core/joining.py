"""Joins what a model gave for several batches into what it would have given for all at once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from presize.core.device import keep_type


def concatenate(batches: Sequence[Any]) -> Any:
    """Join batches along the first axis; nested tuples and mappings are joined element by element.

    A tensor without axes, such as a loss among the outputs, speaks of a batch as a whole: their
    mean takes its place. Of what has no items at all, such as None, the first one does.
    """
    if not batches:
        return None
    head = batches[0]
    if isinstance(head, Tensor):
        values = [batch.as_subclass(Tensor) for batch in batches]
        return keep_type(torch.cat(values) if head.ndim else _mean(values), head)
    if isinstance(head, Mapping):
        return {key: concatenate([batch[key] for batch in batches]) for key in head}
    if isinstance(head, tuple | list):
        joined = [concatenate(column) for column in zip(*batches, strict=True)]
        return type(head)(*joined) if hasattr(head, "_fields") else type(head)(joined)
    if isinstance(head, Iterable) and not isinstance(head, str):
        return [item for batch in batches for item in batch]
    return head


def _mean(values: list[Tensor]) -> Tensor:
    numbers = torch.stack(values)
    able = numbers.is_floating_point() or numbers.is_complex()
    return numbers.mean() if able else numbers.float().mean().to(numbers.dtype)
