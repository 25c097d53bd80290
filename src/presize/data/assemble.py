"""Builds the loaders of a training set and the sets beside it, with one set of transforms."""

from collections.abc import Sequence, Sized
from typing import Any

import numpy as np

from presize.core.device import default_device
from presize.core.errors import DataError
from presize.core.pipeline import Pipeline
from presize.data.caching.cache import NoCache, PictureCache
from presize.data.caching.cache_choice import cache_for
from presize.data.direct import warm_up
from presize.data.options import LoadersOptions, TfmdOptions, Tfms, refuse_unknown
from presize.data.picturesource import PictureSource
from presize.data.quarantine import Quarantine
from presize.data.stream.itemstream import stream_of
from presize.data.tensorise import ToTensor
from presize.data.tfmdloader import TfmdDL
from presize.data.warned import warn_user
from presize.data.workers import available_cpus

_MOST_WORKERS = 16
_BATCH = 64
# So many pictures say how much memory one takes; decoding one takes 1 to 20 ms.
_LOOKED_AT = 8


def assembled(dsets: Sequence[Any], options: LoadersOptions) -> list[TfmdDL]:
    """Return a loader for each data set; the first is for training and sets transforms up."""
    refuse_unknown(options, "dataloaders()")
    workers, bs = options.get("num_workers"), options.get("bs")
    device = options.get("device")
    common: TfmdOptions = {
        "num_workers": min(_MOST_WORKERS, available_cpus()) if workers is None else workers,
        "device": default_device() if device is None else device,
        "seed": options.get("seed"),
        "prefetch": options.get("prefetch", 2),
        "processes": options.get("processes", False),
        "on_bad": options.get("on_bad", "replace"),
        "quarantine": _quarantine(dsets, options),
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
        **_order(options),
    }
    other: TfmdOptions = {
        **common,
        "bs": options.get("val_bs") or bs or _BATCH,
        "do_setup": False,
    }
    loaders = [kind(dsets[0], **train), *(kind(ds, **other) for ds in dsets[1:])]
    source = PictureSource.of(loaders[0])
    if common["processes"] and source is not None:
        warn_user(
            "processes=True is not used: pictures that item transforms only cut (Resize ...) are "
            "made by threads, without Python in between."
        )
    cache = _cache(loaders, source, options)
    for loader in loaders:
        loader.cache = cache
    warm_up(loaders[0])
    return loaders


def _order(options: LoadersOptions) -> TfmdOptions:
    """Return the options of the training loader that say which items come, and when."""
    sampler, weights = options.get("sampler"), options.get("weights")
    chosen = sampler is not None or weights is not None
    shuffle = options.get("shuffle", not chosen)
    drop_last = options.get("drop_last")
    return {
        "shuffle": shuffle,
        "sampler": sampler,
        "weights": weights,
        "drop_last": (shuffle or chosen) if drop_last is None else drop_last,
    }


def _quarantine(dsets: Sequence[Any], options: LoadersOptions) -> Quarantine | None:
    """Return one list for all loaders of what cannot be read."""
    if options.get("on_bad", "replace") not in ("replace", "skip"):
        return None
    n = sum(map(len, dsets)) if all(isinstance(ds, Sized) for ds in dsets) else None
    return Quarantine(n, options.get("path", "."))


def _cache(
    loaders: Sequence[TfmdDL], source: PictureSource | None, options: LoadersOptions
) -> PictureCache | None:
    """Return one cache for the pictures of all loaders; one that is off where it would not do."""
    mode = options.get("cache", "auto")
    if source is None and mode in ("auto", "ram", "disk"):
        note = (
            "The cache is off: it keeps pictures as they were decoded, for loaders whose item "
            "transforms only cut them (Resize, RandomCrop ...)."
        )
        if mode != "auto":
            warn_user(note)
        return NoCache(note)
    return cache_for(
        mode,
        gigabytes=options.get("cache_gb"),
        folder=options.get("cache_dir"),
        pictures=sum(dl.n or 0 for dl in loaders),
        bytes_each=lambda: _bytes_each(source),
    )


def _bytes_each(source: PictureSource | None) -> int:
    """Return how much memory a decoded picture takes, by the look of some."""
    if source is None:
        return 0
    n = len(source.inputs)
    places = np.linspace(0, n - 1, min(n, _LOOKED_AT), dtype=int).tolist()
    if stream_of(source.inputs) is not None:
        places = range(len(places))  # one further on is read up to from the start of a shard
    sizes = []
    for i in places:
        try:
            sizes.append(source.picture(i).pixels.nbytes)
        except DataError:  # it is said when its turn comes in training
            continue
    return int(np.mean(sizes)) if sizes else 0


def with_to_tensor(tfms: Tfms) -> Pipeline:
    """Return the item transforms as a pipeline that makes pictures tensors in any case."""
    made = Pipeline(tfms)
    if not any(isinstance(f, ToTensor) for f in made):
        made.add([ToTensor])
    return made
