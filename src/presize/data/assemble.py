"""Builds the loaders of a training set and the sets beside it, with one set of transforms."""

from collections.abc import Sequence
from typing import Any

from presize.core.device import default_device
from presize.core.pipeline import Pipeline
from presize.data.options import LoadersOptions, TfmdOptions, Tfms, refuse_unknown
from presize.data.tensorise import ToTensor
from presize.data.tfmdloader import TfmdDL
from presize.data.workers import available_cpus

_MOST_WORKERS = 16
_BATCH = 64


def assembled(dsets: Sequence[Any], options: LoadersOptions) -> list[TfmdDL]:
    """Return a loader for each data set; the first is for training and sets transforms up."""
    refuse_unknown(options, "dataloaders()")
    workers, drop_last = options.get("num_workers"), options.get("drop_last")
    device, bs = options.get("device"), options.get("bs")
    shuffle = options.get("shuffle", True)
    common: TfmdOptions = {
        "num_workers": min(_MOST_WORKERS, available_cpus()) if workers is None else workers,
        "device": default_device() if device is None else device,
        "seed": options.get("seed"),
        "prefetch": options.get("prefetch", 2),
        # As pipelines, so that all loaders share what one of them is set up with.
        "after_item": with_to_tensor(options.get("after_item")),
        "before_batch": Pipeline(options.get("before_batch")),
        "after_batch": Pipeline(options.get("after_batch")),
    }
    kind = options.get("dl_type") or getattr(dsets[0], "dl_type", None) or TfmdDL
    train: TfmdOptions = {
        **common,
        # Where nobody asked for a size, a small data set is one batch.
        "bs": max(1, min(_BATCH, len(dsets[0]))) if bs is None else bs,
        "shuffle": shuffle,
        "drop_last": shuffle if drop_last is None else drop_last,
    }
    other: TfmdOptions = {
        **common,
        "bs": options.get("val_bs") or bs or _BATCH,
        "do_setup": False,
    }
    return [kind(dsets[0], **train), *(kind(ds, **other) for ds in dsets[1:])]


def with_to_tensor(tfms: Tfms) -> Pipeline:
    """Return the item transforms as a pipeline that makes pictures tensors in any case."""
    made = Pipeline(tfms)
    if not any(isinstance(f, ToTensor) for f in made):
        made.add([ToTensor])
    return made
