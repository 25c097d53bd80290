"""The learner of pictures: a pretrained body, a new head, and the data's own details."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path as AnyPath
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor, nn

from presize.augment.presets import Normalize
from presize.callbacks.base import Callback
from presize.core.errors import did_you_mean
from presize.data.loaders import DataLoaders, TfmdDL, get_c
from presize.learner import Kind, Learner
from presize.models.arch import create_vision_model
from presize.models.body import Stats
from presize.models.groups import Splitter, default_split
from presize.models.head import Init


class LearnerOptions(TypedDict, total=False):
    """The options that `vision_learner` hands on; see `Learner`."""

    loss_func: Callable[..., Tensor] | None
    opt_func: Callable[..., torch.optim.Optimizer]
    lr: float
    cbs: Callback | Iterable[Callback] | None
    metrics: Any
    path: str | AnyPath | None
    model_dir: str | AnyPath
    wd: float | None
    wd_bn_bias: bool
    train_bn: bool
    moms: tuple[float, float, float]
    precision: Kind
    accumulate: int
    channels_last: bool
    compile: bool | str


def vision_learner(
    dls: DataLoaders,
    arch: Callable[..., nn.Module] | str,
    *,
    pretrained: bool = True,
    weights: Any = None,
    normalize: bool = True,
    n_out: int | None = None,
    n_in: int | None = None,
    cut: int | Callable[[nn.Module], nn.Module] | None = None,
    splitter: Splitter | None = None,
    custom_head: nn.Module | None = None,
    concat_pool: bool = True,
    ps: float = 0.5,
    lin_ftrs: Sequence[int] | None = None,
    first_bn: bool = True,
    bn_final: bool = False,
    lin_first: bool = False,
    init: Init | None = nn.init.kaiming_normal_,
    img_size: int | None = None,
    drop_path_rate: float | None = None,
    y_range: tuple[float, float] | None = None,
    **options: Unpack[LearnerOptions],
) -> Learner:
    """Make a learner for pictures from an architecture: its body, and a head for these classes.

    With pretrained weights the body is frozen until `unfreeze` or `fine_tune`, and pictures are
    normalised as the weights expect.

    Args:
        dls: the data.
        arch: a torchvision function such as `resnet34`, or the name of one or of a timm model.
        pretrained: begin with weights learnt on ImageNet.
        weights: other weights: a file, a URL, or a name that torchvision or timm knows.
        normalize: normalise with the statistics of the weights.
        n_out: how many outputs; None asks the data.
        n_in: how many channels; None asks the data.
        cut: where the body ends, if that is not found by itself: a layer index, or a function
            that takes the network and returns its body.
        splitter: cuts the parameters into layer groups.
        custom_head: a head of your own in place of the usual one.
        concat_pool: pool the features by mean and by maximum, not by mean alone.
        ps: dropout before the last layer; the first one has half of it.
        lin_ftrs: the widths of the head's hidden layers; by default one of 512.
        first_bn: normalise the pooled features.
        bn_final: normalise the outputs.
        lin_first: begin the head with a linear layer.
        init: how the head's weights are drawn.
        img_size: the side of the pictures, which vision transformers have to know.
        drop_path_rate: stochastic depth: the chance that the deepest block is passed over in
            training; None leaves what the architecture has.
        y_range: squeeze the outputs of a regression into this range.
        options: everything else that `Learner` takes.

    Raises:
        DataError: the data does not tell the number of outputs.
        TypeError: an option that nobody knows; near misses are named.
    """
    _check_options(options)
    model = create_vision_model(
        arch,
        get_c(dls) if n_out is None else n_out,
        n_in=_channels(dls) if n_in is None else n_in,
        pretrained=pretrained,
        weights=weights,
        cut=cut,
        head=custom_head,
        concat_pool=concat_pool,
        ps=ps,
        lin_ftrs=lin_ftrs,
        first_bn=first_bn,
        bn_final=bn_final,
        lin_first=lin_first,
        init=init,
        img_size=img_size,
        drop_path_rate=drop_path_rate,
        y_range=y_range,
    )
    if normalize and model.stats is not None:
        _add_normalize(dls, model.stats)
    learn = Learner(dls, model, splitter=splitter or default_split, **options)
    if model.pretrained:
        learn.freeze()
    return learn


cnn_learner = vision_learner


def _channels(dls: DataLoaders) -> int:
    """Return the channels of the first picture; a whole batch would take a second to read."""
    train = dls.train
    if isinstance(train, TfmdDL) and len(train.dataset):
        return int(train.after_item(train.dataset[0])[0].shape[0])
    return int(dls.one_batch()[0].shape[1])


def _add_normalize(dls: DataLoaders, stats: Stats) -> None:
    if not all(isinstance(dl, TfmdDL) for dl in dls):
        warnings.warn(
            "The pretrained weights expect normalised pictures, and these loaders are not "
            "presize's own: nothing was added to them. Normalise in your loader with mean "
            f"{list(stats[0])} and std {list(stats[1])}.",
            stacklevel=3,
        )
        return
    if not any(isinstance(t, Normalize) for dl in dls for t in dl.after_batch):
        dls.add_tfms([Normalize.from_stats(*stats)], "after_batch")


def _check_options(options: LearnerOptions) -> None:
    known = [*LearnerOptions.__annotations__, *(vision_learner.__kwdefaults__ or ())]
    for name in options:
        if name not in LearnerOptions.__annotations__:
            raise TypeError(
                f"vision_learner got an option that it does not know: `{name}`."
                f"{did_you_mean(name, known)}"
            )
