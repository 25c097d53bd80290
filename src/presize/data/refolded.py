"""Data whose training and validation items are put together, to be divided in other ways."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from presize.core.collections import L
from presize.core.errors import DataError
from presize.core.lazy import pd
from presize.data.datablock import DataBlock
from presize.data.datasets import Datasets, TfmdLists
from presize.data.loaders import DataLoaders
from presize.data.options import BlockOptions, refuse_unknown
from presize.data.rows import Rows, rows
from presize.data.stream.itemstream import stream_of
from presize.data.tfmdloader import TfmdDL


class FoldedData(NamedTuple):
    """All items, and how loaders are made of some of them.

    Args:
        dsets: the items and their transforms.
        loaders: makes loaders of the positions to train on and of those to judge by.
        places: where each of them is among the items of the source, of which there are
            `n_source`; None where they are of loaders, and in an order that nobody gave them.
        n_source: how many items the source has, a test set included.
    """

    dsets: Datasets
    loaders: Callable[[Sequence[int], Sequence[int]], DataLoaders]
    places: Sequence[int] | None = None
    n_source: int = 0


def folded(data: Any, source: Any, options: Mapping[str, Any]) -> FoldedData:
    """Return the items of loaders, or of what a DataBlock makes of its source.

    They are those of the training and validation sets. A third, a test set, is left alone, and so
    is what a splitter puts into none.

    Args:
        data: `DataLoaders` or a `DataBlock`.
        source: of the DataBlock.
        options: of its loaders.

    Raises:
        TypeError: it is something else.
        ValueError: a source or options beside loaders, or no source beside a DataBlock.
        DataError: the items cannot be divided anew.
    """
    if isinstance(data, DataBlock):
        if source is None:
            raise ValueError(
                "A DataBlock needs its source: cross_validate(block, source, learner=..., fit=...)."
            )
        return _of_block(data, source, options)
    if not isinstance(data, DataLoaders):
        raise TypeError(
            f"cross_validate takes DataLoaders, or a DataBlock and its source, but got a "
            f"{type(data).__name__}."
        )
    if source is not None or options:
        given = ", ".join(f"{name}=" for name in options) or "a source"
        raise ValueError(
            f"Loaders have their items and options already, so that {given} would have no effect: "
            "leave it out, or pass a DataBlock."
        )
    return _of_loaders(data)


def _of_block(block: DataBlock, source: Any, options: Mapping[str, Any]) -> FoldedData:
    refuse_unknown(options, "cross_validate()", BlockOptions.__annotations__)
    found = _divisible(block.datasets(source))
    places = sorted({*found.splits[0], *found.splits[1]})
    dsets = found.with_items(rows(found.items, places))

    def loaders(train: Sequence[int], valid: Sequence[int]) -> DataLoaders:
        return block.loaders_from(_split(dsets, train, valid), DataLoaders, **options)

    return FoldedData(dsets, loaders, places, len(found))


def _of_loaders(dls: DataLoaders) -> FoldedData:
    train, valid = dls.train, dls.valid
    for loader in (train, valid):
        if loader is not None and not isinstance(loader, TfmdDL):
            raise DataError(
                f"These loaders do not know how their items are made: a "
                f"{type(loader).__module__}.{type(loader).__name__}. cross_validate divides those "
                "that a DataBlock or ImageDataLoaders made."
            )
    if train.sampler is not None or not (train.weights is None or train.weights == "balanced"):
        raise DataError(
            "The training loader has a sampler or weights for its own items, which do not fit "
            'other folds. Leave them out; weights="balanced" works for any items.'
        )
    first = _divisible(train.dataset)
    items = first.items if valid is None else _joined(first.items, valid.dataset.items)
    dsets = first.with_items(items)

    def loaders(for_training: Sequence[int], for_judging: Sequence[int]) -> DataLoaders:
        parts = _split(dsets, for_training, for_judging)
        own = {} if train.weights is None else {"weights": train.weights}
        bs = train.bs and min(train.bs, len(for_training))
        trains = train.new(parts.train, bs=bs, **own)
        judge = train if valid is None else valid
        judges = judge.new(parts.valid, shuffle=False, drop_last=False, split_idx=1)
        return type(dls)(trains, judges, path=dls.path, device=dls.device)

    return FoldedData(dsets, loaders)


def _divisible(dsets: Any) -> Datasets:
    if isinstance(dsets, Datasets) and stream_of(dsets) is None:
        return dsets
    what = "shards" if stream_of(dsets) is not None else f"a {type(dsets).__name__}"
    raise DataError(
        f"The items of {what} cannot be divided into folds: they need a position each, and a way "
        "to make a sample of each. Use a DataBlock or ImageDataLoaders of files or of a table."
    )


def _split(dsets: Datasets, train: Sequence[int], valid: Sequence[int]) -> Datasets:
    """Return the same items and transforms, which stay as they are set up, divided otherwise."""
    splits = [list(train), list(valid)]
    return Datasets(
        tls=[
            TfmdLists(tl.items, tl.tfms, splits, do_setup=False, dl_type=tl.dl_type)
            for tl in dsets.tls
        ],
        n_inp=dsets.n_inp,
        dl_type=dsets.dl_type,
        task=dsets.task,
    )


def _joined(a: Any, b: Any) -> Any:
    """Return the items of two collections as one, of the same kind where it can be."""
    if hasattr(a, "iloc") and hasattr(b, "iloc"):
        return pd.concat([a, b])
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.concatenate([a, b])
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return torch.cat([a, b])
    return L([*Rows(a), *Rows(b)])
