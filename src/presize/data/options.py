"""The options of loaders, by the functions that take them."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import torch

from presize.core.errors import did_you_mean
from presize.core.pipeline import Pipeline
from presize.core.transform import Transform

if TYPE_CHECKING:
    from presize.data.tfmdloader import TfmdDL

Tfms = Transform | Pipeline | Callable[[Any], Any] | Sequence[Any] | None
Device = torch.device | str | None


class LoaderOptions(TypedDict, total=False):
    """The options of a `DataLoader`, as `new` takes them."""

    batch_size: int | None
    bs: int | None
    shuffle: bool
    num_workers: int
    drop_last: bool
    indexed: bool | None
    n: int | None
    device: Device
    seed: int | None
    prefetch: int
    timeout: float
    split_idx: int | None
    before_iter: Callable[[], object] | None
    after_item: Tfms
    before_batch: Tfms
    after_batch: Tfms
    after_iter: Callable[[], object] | None
    collate: Callable[[list[Any]], Any] | None
    get_idxs: Callable[[], Iterable[int]] | None


class TfmdOptions(LoaderOptions, total=False):
    """The options of a `TfmdDL`."""

    do_setup: bool


class CommonOptions(TypedDict, total=False):
    """Options of all functions that make loaders of a data set.

    bs: samples in a batch; 64 by default. val_bs: the same for validation; by default as `bs`.
    shuffle: shuffle the training set; True by default. drop_last: leave out its last batch if it
    is not full; by default where it is shuffled. device: by default a GPU where there is one.
    num_workers: threads; by default one for each core, 16 at most. prefetch: batches under way
    ahead. dl_type: the class of the loaders.
    """

    bs: int
    val_bs: int | None
    shuffle: bool
    drop_last: bool | None
    device: Device
    num_workers: int | None
    prefetch: int
    dl_type: "type[TfmdDL] | None"


class BlockOptions(CommonOptions, total=False):
    """`CommonOptions`, and `seed`, that of order and draws; by default PyTorch's."""

    seed: int | None


class LoadersOptions(BlockOptions, total=False):
    """`BlockOptions`, the folder below which models are saved, and the transforms."""

    path: str | os.PathLike[str]
    after_item: Tfms
    before_batch: Tfms
    after_batch: Tfms


_OTHER_NAMES = {"batch_size": "bs", "valid_bs": "val_bs", "workers": "num_workers"}


def refuse_unknown(options: Mapping[str, Any], who: str, more: Iterable[str] = ()) -> None:
    """Raise TypeError if an option is not one of `LoadersOptions`; `more` are the caller's own.

    Python lets a call with `**options` pass whatever its annotation says.
    """
    known = [*LoadersOptions.__annotations__, *more]
    for name in options:
        if name not in known:
            other = _OTHER_NAMES.get(name)
            near = f" Did you mean `{other}`?" if other else did_you_mean(name, known)
            raise TypeError(f"{who} got an unexpected keyword argument '{name}'.{near}")
