"""The options of loaders, by the functions that take them."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import torch

from presize.core.errors import did_you_mean
from presize.core.pipeline import Pipeline
from presize.core.transform import Transform

if TYPE_CHECKING:
    from presize.data.badreads import OnBad
    from presize.data.caching.cache import PictureCache
    from presize.data.caching.cache_choice import CacheMode
    from presize.data.quarantine import Quarantine
    from presize.data.tfmdloader import TfmdDL

Tfms = Transform | Pipeline | Callable[[Any], Any] | Sequence[Any] | None
Device = torch.device | str | None
Weights = Sequence[float] | Literal["balanced"] | None


class FurtherOptions(TypedDict, total=False):
    """The options of a `DataLoader` beside the size of its batches and `shuffle`."""

    num_workers: int
    drop_last: bool
    indexed: bool | None
    n: int | None
    device: Device
    seed: int | None
    prefetch: int
    timeout: float
    split_idx: int | None
    sampler: Iterable[int] | None
    weights: Weights
    processes: bool
    cache: "PictureCache | None"
    on_bad: "OnBad | None"
    quarantine: "Quarantine | None"
    before_iter: Callable[[], object] | None
    after_item: Tfms
    before_batch: Tfms
    after_batch: Tfms
    after_iter: Callable[[], object] | None
    collate: Callable[[list[Any]], Any] | None
    get_idxs: Callable[[], Iterable[int]] | None


class LoaderOptions(FurtherOptions, total=False):
    """The options of a `DataLoader`, as `new` takes them."""

    batch_size: int | None
    bs: int | None
    shuffle: bool


class TfmdOptions(LoaderOptions, total=False):
    """The options of a `TfmdDL`."""

    do_setup: bool


class CommonOptions(TypedDict, total=False):
    """Options of all functions that make loaders of a data set.

    bs: samples in a batch; 64 by default. val_bs: the same for validation; by default as `bs`.
    shuffle: shuffle the training set; True by default. drop_last: leave out its last batch if it
    is not full; by default in training. device: by default a GPU where there is one.
    num_workers: threads; by default one for each core, 16 at most. prefetch: batches under way
    ahead. dl_type: the class of the loaders.

    sampler: the indices of a pass over the training set, in place of shuffling. weights: how often
    training items come up, relative to each other; "balanced" lets each class come up equally
    often. processes: workers are processes, for slow transforms in pure Python.

    cache: where decoded pictures are kept for later epochs: "ram", "disk", "auto" (the default:
    memory, if they fit), or False. cache_gb: the most that it may take. cache_dir: a folder for it.
    on_bad: what becomes of a sample whose picture cannot be read: "replace" (the default) takes
    another of its class in training and leaves it out in validation, "skip" leaves it out in both,
    "raise" stops.
    """

    bs: int
    val_bs: int | None
    shuffle: bool
    drop_last: bool | None
    device: Device
    num_workers: int | None
    prefetch: int
    dl_type: "type[TfmdDL] | None"
    sampler: Iterable[int] | None
    weights: Weights
    processes: bool
    cache: "CacheMode"
    cache_gb: float | None
    cache_dir: str | os.PathLike[str] | None
    on_bad: "OnBad"


class BlockOptions(CommonOptions, total=False):
    """`CommonOptions`, and `seed`, that of order and draws; by default PyTorch's."""

    seed: int | None


class LoadersOptions(BlockOptions, total=False):
    """`BlockOptions`, the folder below which models are saved, and the transforms."""

    path: str | os.PathLike[str]
    after_item: Tfms
    before_batch: Tfms
    after_batch: Tfms


_OTHER_NAMES = {
    "batch_size": "bs",
    "valid_bs": "val_bs",
    "workers": "num_workers",
    "collate_fn": "collate",
}
# What PyTorch's loader takes, and what there is here.
_ELSEWHERE = {
    "pin_memory": "Batches that go to a GPU (device=) are made in page-locked memory by themselves",
    "pin_memory_device": "Say where batches go with device=; the rest is done by itself",
    "worker_init_fn": (
        "Workers are threads that share everything with your program, and draws are counted, so "
        "that no worker needs a seed. What a transform needs it can make when it is first called"
    ),
    "persistent_workers": (
        "Worker processes (processes=True) live as long as the loader; threads cost nothing to "
        "start"
    ),
    "prefetch_factor": (
        "Pass prefetch=, the number of batches under way in all, not for each worker"
    ),
    "batch_sampler": (
        "Pass sampler=, which gives one index at a time, and the size of batches, bs=; "
        "drop_last=True leaves out a last one that is not full"
    ),
    "generator": "Order and draws depend on a seed and the epoch alone: pass seed=",
    "multiprocessing_context": (
        "Workers are threads; with processes=True they are processes, which are always spawned"
    ),
    "in_order": "Batches always come in order, so that results can be repeated",
}


def refuse_unknown(
    options: Mapping[str, Any], who: str, known: Iterable[str] = LoadersOptions.__annotations__
) -> None:
    """Raise TypeError if an option is not a known one; by default those of `LoadersOptions`.

    Python lets a call with `**options` pass whatever its annotation says.
    """
    names = list(known)
    for name in options:
        if name not in names:
            raise TypeError(
                f"{who} got an unexpected keyword argument '{name}'.{_way(name, names)}"
            )


def _way(name: str, known: Sequence[str]) -> str:
    """Return what to write instead of an unknown option."""
    if name in _ELSEWHERE:
        return f" {_ELSEWHERE[name]}."
    other = _OTHER_NAMES.get(name)
    return f" Did you mean `{other}`?" if other in known else did_you_mean(name, known)
