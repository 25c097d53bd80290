"""A model for pictures: the body of an architecture, then a new head."""

from collections.abc import Callable, Mapping, Sequence

from torch import nn

from presize.core.errors import ModelFileError
from presize.models.backbones import Arch, find_arch, make_backbone
from presize.models.body import (
    Backbone,
    BodyOptions,
    Cut,
    Stats,
    WeightsSource,
    measure_early,
    output_shape,
)
from presize.models.groups import BodySplit
from presize.models.head import Init, create_head, init_head
from presize.models.spec import MAX_OUT, HeadSpec, ModelSpec, check_spec
from presize.models.stochastic_depth import checked_rate
from presize.models.zoo import *  # noqa: F403  (resnet34 and its kin are to be found here, too)


class VisionModel(nn.Sequential):
    """A body and a head, with what the learner and a model file ask of them.

    `spec` describes the architecture as JSON; `stats` are the mean and std of each channel that
    the pretrained weights want, or None; `groups_splitter` parts the parameters into groups;
    `pretrained` tells whether the body's weights are not random.
    """

    spec: ModelSpec
    stats: Stats | None = None
    groups_splitter: BodySplit = BodySplit()
    pretrained: bool = False


def create_vision_model(
    arch: Arch,
    n_out: int,
    *,
    n_in: int = 3,
    pretrained: bool = True,
    weights: WeightsSource = None,
    cut: Cut = None,
    img_size: int | None = None,
    drop_path_rate: float | None = None,
    head: nn.Module | None = None,
    concat_pool: bool = True,
    ps: float | Sequence[float] = 0.5,
    lin_ftrs: Sequence[int] | None = None,
    first_bn: bool = True,
    bn_final: bool = False,
    lin_first: bool = False,
    y_range: tuple[float, float] | None = None,
    init: Init | None = nn.init.kaiming_normal_,
    custom_head: nn.Module | None = None,
) -> VisionModel:
    """Put a new head with `n_out` outputs onto the body of `arch`: `Sequential(body, head)`.

    Args:
        arch: a classifier function of torchvision, its name, the name of any timm model
            ("timm/NAME" where torchvision has it, too), your own function or model.
        n_out: number of outputs, one per class.
        n_in: channels of a picture; the first convolution is fitted to it.
        pretrained: fetch the weights that torchvision or timm publish for it.
        weights: take these instead: a .pth or .safetensors file, a URL, a dict of tensors,
            torchvision's weights enum or the name of one, a tag of timm.
        cut: how many child layers of `arch` make the body, or a function from the model to its
            body; known architectures need none.
        img_size: side of the pictures in pixels, for transformers that are made for one size.
        drop_path_rate: stochastic depth (arXiv:1603.09382): the chance, for each picture in
            training, that the deepest block is passed over; those before it are passed over less.
            None keeps the architecture's own. A model file does not hold it: it does not matter
            for predictions.
        head: your own head instead of the usual one; it gets the body's output.
        concat_pool: pool by maximum and average; this and the next are told in `create_head`.
        ps: dropout.
        lin_ftrs: hidden layers.
        first_bn: begin with a batch norm.
        bn_final: end with one.
        lin_first: linear layers before their norms.
        y_range: the range of a regression.
        init: fills the weights of the head's linear layers; None keeps PyTorch's.
        custom_head: another name of `head`.

    Raises:
        TypeError: `arch` is no architecture.
        ValueError: an unknown name (the nearest are told), or an option out of range.
        WeightsError: weights that are not there, or do not fit.
    """
    if head is not None and custom_head is not None:
        raise ValueError("head and custom_head are the same thing: pass one of them.")
    options: HeadSpec = {
        "concat_pool": concat_pool,
        "ps": ps if isinstance(ps, int | float) else [float(p) for p in ps],
        "lin_ftrs": None if lin_ftrs is None else [int(n) for n in lin_ftrs],
        "first_bn": first_bn,
        "bn_final": bn_final,
        "lin_first": lin_first,
        "y_range": None if y_range is None else [float(y) for y in y_range],
    }
    body = BodyOptions(n_in, pretrained, weights, cut, img_size, checked_rate(drop_path_rate))
    own = custom_head if head is None else head
    return _assemble(arch, n_out, body, options if own is None else own, init)


def build_from_spec(
    spec: Mapping[str, object],
    *,
    arch: Callable[..., nn.Module] | nn.Module | None = None,
    cut: Callable[[nn.Module], nn.Module] | None = None,
    head: nn.Module | None = None,
) -> VisionModel:
    """Build the architecture of a `VisionModel.spec` again, with random weights.

    Only names that torchvision and timm know are built; nothing is fetched. What the user made
    has to be passed in.

    Args:
        spec: the description, checked here: it may come from a file of anybody.
        arch: the function or model, for a spec of source "custom".
        cut: the function that cut it, if it was one.
        head: the user's own head, if it was one.

    Raises:
        ModelFileError: the description is broken, or wants something that was not passed in.
    """
    checked = check_spec(spec)
    name, source = checked["name"], checked["source"]
    build: Arch
    if source == "custom":
        if arch is None:
            raise ModelFileError(
                f"The architecture `{name}` is the user's own, so it cannot be built by name: "
                "pass the function that makes it, arch=..."
            )
        build = arch
    else:
        build = name if source == "torchvision" else f"timm/{name}"
        _check_known(build, source)
    if checked["cut"] == "custom" and cut is None:
        raise ModelFileError(f"The body of `{name}` was cut by a function: pass it, cut=...")
    if checked["head"] is None and head is None:
        raise ModelFileError(f"The head on `{name}` is the user's own: pass it, head=...")
    kept = checked["cut"] if isinstance(checked["cut"], int) else cut
    body = BodyOptions(checked["n_in"], False, None, kept, checked["img_size"])
    parts = head if checked["head"] is None else checked["head"]
    assert parts is not None
    try:
        return _assemble(build, checked["n_out"], body, parts, None)
    except ValueError as e:
        raise ModelFileError(f"The model file's description cannot be built. {e}") from e


def _check_known(name: str, source: str) -> None:
    try:
        known = find_arch(name)[0]
    except ValueError as e:
        raise ModelFileError(f"The model file wants an unknown architecture. {e}") from e
    if known != source:
        raise ModelFileError(f"{source} has no architecture `{name}`; this model file is broken.")


def _assemble(
    arch: Arch, n_out: int, options: BodyOptions, head: nn.Module | HeadSpec, init: Init | None
) -> VisionModel:
    for name, n, most in (("n_out", n_out, MAX_OUT), ("n_in", options.n_in, 10_000)):
        if type(n) is not int or not 1 <= n <= most:
            raise ValueError(f"{name} is a whole number from 1 to {most}, but got {n!r}.")
    body = make_backbone(arch, options)
    if isinstance(head, nn.Module):
        model = VisionModel(body.body, head)
    else:
        shape = output_shape(body.body, options.n_in, body.side)
        new = _make_head(shape[1], n_out, pooled=len(shape) == 2, options=head)
        init_head(new, init)
        model = VisionModel(body.body, new)
    model.spec = {
        "source": body.source,
        "name": body.name,
        "n_out": n_out,
        "n_in": options.n_in,
        "cut": "custom" if callable(options.cut) else options.cut,
        "img_size": body.img_size,
        "head": None if isinstance(head, nn.Module) else head,
    }
    model.stats, model.pretrained = _stats_for(body.stats, options.n_in), body.pretrained
    model.groups_splitter = BodySplit(_n_early(body, options.n_in))
    return model


def _make_head(n_features: int, n_out: int, *, pooled: bool, options: HeadSpec) -> nn.Sequential:
    y_range = options["y_range"]
    return create_head(
        n_features,
        n_out,
        pooled=pooled,
        concat_pool=options["concat_pool"],
        ps=options["ps"],
        lin_ftrs=options["lin_ftrs"],
        first_bn=options["first_bn"],
        bn_final=options["bn_final"],
        lin_first=options["lin_first"],
        y_range=None if y_range is None else (y_range[0], y_range[1]),
    )


def _stats_for(stats: Stats | None, n_in: int) -> Stats | None:
    """Return the statistics for `n_in` channels, treated as the weights of the first layer are."""
    if stats is None or n_in == len(stats[0]):
        return stats
    if n_in == 1:
        return [sum(stats[0]) / len(stats[0])], [sum(stats[1]) / len(stats[1])]
    turns = [i % len(stats[0]) for i in range(n_in)]
    return [stats[0][i] for i in turns], [stats[1][i] for i in turns]


def _n_early(body: Backbone, n_in: int) -> int | None:
    if body.n_early == "measure":
        return measure_early(body.body, n_in, body.side)
    return body.n_early
