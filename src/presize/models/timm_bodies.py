"""timm's models as bodies. timm itself is imported when one of its names is used."""

import socket
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from presize.core.errors import WeightsError, did_you_mean
from presize.models.body import (
    Backbone,
    BodyOptions,
    Stats,
    ToNCHW,
    blank_picture,
    cut_and_load,
    evaluating,
    params_until,
)
from presize.models.cut import cut_custom, working_side
from presize.models.stochastic_depth import no_stochastic_depth
from presize.models.weights import (
    PLACE,
    download_help,
    hub_folder,
    is_weights_file,
    read_weights,
)

PREFIX = "timm/"


def timm_name(name: str, *, others: tuple[str, ...] = ()) -> str:
    """Return `name` without "timm/", checked.

    Args:
        name: an architecture, with the tag of its weights after a dot or without.
        others: architectures known elsewhere, to be suggested too.

    Raises:
        ValueError: timm has it not; the nearest names are told.
    """
    import timm

    plain = name.removeprefix(PREFIX)
    arch, _, tag = plain.partition(".")
    if not timm.is_model(arch):
        raise ValueError(
            f"There is no architecture `{name}` in torchvision or timm."
            + did_you_mean(arch, [*timm.list_models(), *others])
        )
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{arch}.*")]
    if tag and tag not in tags:
        raise ValueError(
            f"timm has no weights `{tag}` of {arch}, but {', '.join(tags) or 'none at all'}."
            + did_you_mean(tag, tags)
        )
    return plain


def timm_backbone(name: str, options: BodyOptions) -> Backbone:
    """Build timm's `name` without its classifier.

    Maps are left unpooled for the head; models of tokens give the features that they pool.

    Raises:
        ValueError: an option does not go with this architecture.
        WeightsError: weights that are not there, or do not fit.
    """
    weights, state = options.weights, None
    if isinstance(weights, str) and not is_weights_file(weights):
        name, weights = timm_name(f"{name.partition('.')[0]}.{weights}"), None
        options = replace(options, pretrained=True, weights=None)
    elif weights is not None:
        state = read_weights(cast(Any, weights))
    fetch = options.pretrained and weights is None
    model = _create(name, options, fetch)
    cfg: dict[str, Any] = model.pretrained_cfg
    fixed = cfg.get("fixed_input_size") or options.img_size is not None
    largest = options.img_size or cfg["input_size"][-1]
    side = working_side(model, options.n_in, (largest,) if fixed else (64, largest))

    def cut(whole: nn.Module) -> nn.Module:
        if options.cut is not None:
            return cut_custom(whole, options.cut, n_in=options.n_in, side=side)
        return _unpooled(whole, blank_picture(whole, options.n_in, side))

    classifier = cfg.get("classifier") or ()
    tops = [c.split(".")[0] for c in ([classifier] if isinstance(classifier, str) else classifier)]
    first = cfg.get("first_conv")
    input_key = f"{first}.weight" if isinstance(first, str) else None
    body = cut_and_load(
        model, cut, state, where=options.where, input_key=input_key, classifier=tops
    )
    loaded = fetch or state is not None
    stats: Stats | None = (list(cfg["mean"]), list(cfg["std"])) if loaded else None
    # A body [model, ToNCHW()] has the model's parameters, in the same order.
    early = params_until(model, _early_layer(model)) if options.cut is None else None
    return Backbone(body, "timm", name, stats, early, side, options.img_size, loaded)


def _create(name: str, options: BodyOptions, fetch: bool) -> Any:
    import timm

    settings: dict[str, Any] = {"num_classes": 0, "in_chans": options.n_in}
    if options.img_size is not None:
        settings["img_size"] = options.img_size
    if options.drop_path_rate is not None:
        settings["drop_path_rate"] = options.drop_path_rate
    try:
        if not fetch:
            return timm.create_model(name, pretrained=False, **settings)
        with download_help(*_where(name)):
            _check_network(name)
            return timm.create_model(name, pretrained=True, **settings)
    except TypeError as e:
        if "drop_path_rate" in str(e):
            raise no_stochastic_depth(name) from e
        if "img_size" not in str(e):
            raise
        raise ValueError(f"{name} has no img_size to set: it takes any size. Leave it out.") from e


def _where(name: str) -> tuple[str, Path, str, str]:
    """Return file, cache folder and address of timm's pretrained weights, and how to place them."""
    import timm
    from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE

    cfg: Any = timm.get_pretrained_cfg(name)
    if cfg is None or not cfg.has_weights:
        raise WeightsError(
            f"timm has no pretrained weights for {name}. Pass weights='path/to/file', or "
            "pretrained=False for random weights."
        )
    if not cfg.hf_hub_id:
        return Path(cfg.url).name, hub_folder(), cfg.url, PLACE
    file = cfg.hf_hub_filename or "model.safetensors"
    folder = Path(HF_HUB_CACHE) / f"models--{cfg.hf_hub_id.replace('/', '--')}"
    place = (
        f"copy that folder from a machine where `hf download {cfg.hf_hub_id}` has made it (HF_HOME "
        "moves it)"
    )
    return file, folder, f"{ENDPOINT}/{cfg.hf_hub_id}", place


def _check_network(name: str) -> None:
    """Raise at once where there is no network: timm's loader tries again for most of a minute."""
    _, folder, url, _ = _where(name)
    if any(folder.glob("snapshots/*/*")) or (folder / Path(url).name).exists():
        return
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=10).close()
    except urllib.error.HTTPError:
        return  # an answer of any kind
    except urllib.error.URLError as e:
        # Certificates are another matter: timm's loader brings its own.
        if isinstance(e.reason, socket.gaierror | ConnectionError | TimeoutError):
            raise


def _unpooled(model: Any, picture: Tensor) -> nn.Module:
    """Return `model` with its maps [N, C, H, W] as output; or as it is, where it has none."""
    with evaluating(model):
        features = model.forward_features(picture)
        if not isinstance(features, Tensor) or features.ndim != 4:
            return cast(nn.Module, model)
        try:
            model.reset_classifier(0, "")
        except AssertionError:  # "Cannot disable pooling", say two of its families
            return cast(nn.Module, model)
    if getattr(model, "output_fmt", "NCHW") == "NHWC":
        return nn.Sequential(model, ToNCHW())
    return cast(nn.Module, model)


def _early_layer(model: Any) -> str:
    """Return the name of the last layer before maps of 1/16, or of the middle one of equal maps."""
    stages: list[dict[str, Any]] = list(getattr(model, "feature_info", None) or [])
    names = list(dict.fromkeys(str(s["module"]) for s in stages))
    fine = [str(s["module"]) for s in stages if s["reduction"] <= 8] or names[: len(names) // 2]
    return fine[-1] if fine else ""
