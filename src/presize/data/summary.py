"""The text of `DataBlock.summary`: every step from the source to one batch."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from presize.core.device import to_device
from presize.core.errors import DataError, PresizeError
from presize.core.pipeline import Pipeline
from presize.core.randomness import sample_context
from presize.data.blame import brief
from presize.data.collate import CollateError, collate
from presize.data.datasets import Datasets
from presize.data.loaders import DataLoaders
from presize.data.rows import row

if TYPE_CHECKING:
    from presize.data.datablock import DataBlock


def print_summary(dblock: "DataBlock", source: Any, bs: int, show_batch: bool) -> None:
    """See `DataBlock.summary`."""
    with _unchanged_generators():
        print("Setting-up type transforms pipelines")
        dsets = dblock.datasets(source, verbose=True)
        print("\nBuilding one sample")
        _print_sample(dsets)
        dls = dblock.loaders_from(
            dsets, DataLoaders, verbose=True, bs=bs, num_workers=0, drop_last=False
        )
        print("\nBuilding one batch")
        _print_batch(dls, min(bs, len(dsets.train)))
        if show_batch:
            dls.show_batch()


def _print_sample(dsets: Datasets) -> None:
    with _drawing_for([0]):
        for tl in dsets.train.tls:
            _print_pipeline(tl.tfms, row(tl.items, 0))
        print(f"\nFinal sample: {_text(dsets.train[0])}\n")


def _print_batch(dls: DataLoaders, n: int) -> None:
    dl = dls.train
    print("Applying item_tfms to the first sample:")
    with _drawing_for([0]):
        samples = [_print_pipeline(dl.after_item, dl.dataset[0])]
    print(f"\nAdding the next {n - 1} samples")
    for i in range(1, n):
        with _drawing_for([i]):
            samples.append(dl.after_item(dl.dataset[i]))
    with _drawing_for(list(range(n))):
        if len(dl.before_batch):
            print("\nApplying before_batch to the list of samples")
            samples = _print_pipeline(dl.before_batch, samples)
        else:
            print("\nNo before_batch transform to apply")
        print("\nCollating items in a batch")
        batch = to_device(_collated(samples), dls.device)
        if len(dl.after_batch):
            print("\nApplying batch_tfms to the batch")
            _print_pipeline(dl.after_batch, batch)
        else:
            print("\nNo batch_tfms to apply")


def _collated(samples: list[Any]) -> Any:
    try:
        return collate(samples)
    except CollateError as error:
        print("Error! It's not possible to collate your items in a batch")
        print(f"{error.what}\n{error.cure}")
        raise DataError(f"The items cannot be collated into a batch. {error.cure}") from None


def _print_pipeline(pipeline: Pipeline, value: Any) -> Any:
    """Print what each transform makes of `value`; return the last result."""
    print(f"  {pipeline}\n    starting from\n      {_text(value)}")
    for f in pipeline:
        if f.skips(pipeline.split_idx):
            continue
        try:
            made = f(value, split_idx=pipeline.split_idx)
        except PresizeError:
            print(f"    applying {f} fails")
            raise
        except Exception as error:
            print(f"    applying {f} fails")
            raise DataError(
                f"The transform `{f.name}` fails on {_text(value)}: {type(error).__name__}: {error}"
            ) from error
        value = made
        print(f"    applying {f} gives\n      {_text(value)}")
    return value


def _text(value: Any) -> str:
    """Return a value in short: of large tensors kind and size, of pictures mode and size."""
    if type(value) in (tuple, list):
        if len(value) > 8:
            return f"{type(value).__name__} of {len(value)}, first {_text(value[0])}"
        inside = ", ".join(map(_text, value))
        return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
    if hasattr(value, "iloc"):
        return brief(value)  # a row of a table, which prints on many lines
    if type(value) is Tensor and value.ndim > 1:
        return f"Tensor of size {'x'.join(map(str, value.shape))}"
    return str(value)


@contextmanager
def _drawing_for(indices: list[int]) -> Iterator[None]:
    """Let transforms draw without touching the count of draws that are made by hand."""
    with sample_context(0, 0, indices):
        yield


@contextmanager
def _unchanged_generators() -> Iterator[None]:
    """Leave the global generators as they are, which a splitter without a seed draws from."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - users' own draws
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
