"""Weights from anywhere into a model: read a file or URL without unpickling, match the keys."""

import contextlib
import http.client
import io
import sys
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import torch
from torch import Tensor, nn

from presize.core.errors import WeightsError, did_you_mean
from presize.core.file_kind import file_kind, how_to_convert
from presize.core.output import output_place

StateDict = Mapping[str, Tensor]

PLACE = "put the file into that folder (TORCH_HOME moves it)"

_SUFFIXES = (".pth", ".pt", ".th", ".bin", ".ckpt", ".tar", ".safetensors")
_NESTS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights")
_PREFIXES = ("", "module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.")
_NO_WEIGHTS = ("program", "onnx", "keras", "hdf5", "tflite", "gguf", "picture", "page", "lfs")
# What classifiers are called, so that one that this model has not is told from a missing body.
_CLASSIFIERS = (
    "fc",
    "classifier",
    "head",
    "heads",
    "head_dist",
    "linear",
    "last_linear",
    "logits",
    "aux1",
    "aux2",
    "AuxLogits",
)
# A refused or broken connection, a wrong checksum, a file cut short. One more kind is told by its
# name: no module of this project imports the one that it lives in.
_FETCH_ERRORS = (
    OSError,
    http.client.HTTPException,
    RuntimeError,
    EOFError,
)


def hub_folder() -> Path:
    """Return the folder where PyTorch keeps downloaded weights; TORCH_HOME moves it."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def is_url(source: object) -> bool:
    """Return whether `source` is a text that begins with http://, https:// or file://."""
    return isinstance(source, str) and urlparse(source).scheme in ("http", "https", "file")


def is_weights_file(source: str) -> bool:
    """Return whether a text means a file: it is there, or is written like one."""
    return (
        source.lower().endswith(_SUFFIXES)
        or "/" in source
        or "\\" in source
        or Path(source).is_file()
    )


def read_weights(source: str | Path | Mapping[str, object]) -> dict[str, Tensor]:
    """Return the tensors of a file (.pth, .safetensors), a URL or a dict: flat and on the CPU.

    Tensors nested under keys such as "state_dict" or "model" are found; anything that is not a
    tensor is left out. Nothing is unpickled.

    Raises:
        TypeError: `source` is none of these.
        WeightsError: no such file, not readable, or without tensors.
    """
    if isinstance(source, Mapping):
        return _tensors(source, "the mapping given as weights=")
    if is_url(source):
        return _tensors(_read_url(str(source)), str(source))
    if not isinstance(source, str | Path):
        raise TypeError(
            "weights= is a file, a URL, a dict of tensors, or a name that the architecture's "
            f"library knows, but got {source!r}."
        )
    path = Path(source).expanduser()
    if not path.is_file():
        siblings = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise WeightsError(
            f"There is no file of weights at {path}." + did_you_mean(path.name, siblings)
        )
    return _tensors(_read_file(path), str(path))


def _read_url(url: str) -> Mapping[str, object]:
    parts = urlparse(url)
    if parts.scheme == "file":
        return read_weights(Path(url2pathname(parts.path)))
    name = Path(parts.path).name
    path = hub_folder() / name
    with download_help(name, hub_folder(), url):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), progress=wants_bar())
    return _read_file(path)


def _read_file(path: Path) -> Mapping[str, object]:
    kind = file_kind(path)
    if kind.kind in _NO_WEIGHTS:
        raise WeightsError(
            f"{path} is {kind.words}, and holds no weights for PyTorch. {how_to_convert(kind.kind)}"
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path, device="cpu"))
        # Checkpoints of training scripts keep their options in a Namespace: plain attributes.
        with torch.serialization.safe_globals([Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # a broken zip, header or tensor comes as nearly any kind of error
        raise _unreadable(path, e) from e
    if isinstance(content, nn.Module) or not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not a dict of tensors.")
    return content


def _unreadable(path: Path, e: Exception) -> WeightsError:
    kind = file_kind(path)
    if kind.kind == "fastai":
        return WeightsError(f"{path} is {kind.words}. {how_to_convert(kind.kind)}")
    if type(e).__name__ == "UnpicklingError":
        return WeightsError(
            f"{path} does not hold plain tensors only, or is broken. presize never unpickles "
            "objects, as that can run any code. Where you trust the file, make a plain one of it: "
            f"torch.save(model.state_dict(), 'plain.pth'). ({_first_line(e)})"
        )
    return WeightsError(
        f"{path} ({path.stat().st_size} bytes) cannot be read as weights; is it whole? "
        f"Delete it and get it again. ({type(e).__name__}: {_first_line(e)})"
    )


def _tensors(content: Mapping[str, object], where: str) -> dict[str, Tensor]:
    """Return the tensors at the level of `content` that holds them."""
    found = {str(k): v.detach().cpu() for k, v in content.items() if isinstance(v, Tensor)}
    nests = [k for k in _NESTS if isinstance(content.get(k), Mapping)]
    if nests:
        inner = content[nests[0]]
        assert isinstance(inner, Mapping)
        return _tensors(inner, where)
    if not found:
        raise WeightsError(f"{where} holds no tensors; its keys are {_some(content)}.")
    return found


def load_body(
    model: nn.Module,
    state: StateDict,
    *,
    needed: Collection[str],
    dropped: Collection[str] = (),
    input_key: str | None = None,
    where: str = "the weights",
) -> None:
    """Load `state` into `model`, all of `needed` and nothing but it.

    A prefix of all keys ("module." and the like) is understood. Keys of a classifier may be there
    or not; the layer `input_key` takes weights for another number of channels.

    Args:
        model: the architecture, as a whole or already cut.
        state: the tensors by name.
        needed: the names in `model` that belong to the body.
        dropped: names of the classifier that was cut away.
        input_key: name of the first convolution's weight.
        where: what the tensors come from, for the error.

    Raises:
        WeightsError: names or shapes do not fit; the text counts and shows them.
    """
    own, order, needed = model.state_dict(), list(needed), set(needed)
    state = _strip_prefix(state, needed)
    if input_key in state and input_key in own:
        state[input_key] = adapt_input(state[input_key], own[input_key].shape[1])
    fits = OrderedDict(
        (k, state[k]) for k in own if k in needed and k in state and state[k].shape == own[k].shape
    )
    extra = [k for k in state if k not in needed and not _is_classifier(k, dropped)]
    missing = [k for k in order if k not in state and not k.endswith("num_batches_tracked")]
    wrong = [k for k in order if k in state and k not in fits]
    if missing or wrong or extra:
        text = [
            f"{where} does not fit the architecture: {len(fits)} of {len(needed)} tensors match."
        ]
        if wrong:
            shapes = [f"{k} expected {_shape(own[k])}, got {_shape(state[k])}" for k in wrong]
            text.append(f"Wrong shape ({len(wrong)}): {_some(shapes, '; ')}.")
        if missing:
            text.append(f"Missing ({len(missing)}): {_some(missing)}.")
        if extra:
            text.append(f"Unexpected ({len(extra)}): {_some(extra)}.")
        text.append("Another architecture? Or pass pretrained=False for random weights.")
        raise WeightsError(" ".join(text))
    # Layers read the version of their own layout here; files of plain tensors do not carry it.
    fits._metadata = getattr(own, "_metadata", {})  # type: ignore[attr-defined]
    model.load_state_dict(fits, strict=False)


def _strip_prefix(state: StateDict, needed: Collection[str]) -> dict[str, Tensor]:
    """Return `state` without the common prefixes, such that most names are `needed` ones."""
    best, most = dict(state), -1
    for outer in _PREFIXES:
        for inner in _PREFIXES:
            prefix = outer + inner
            named = {k.removeprefix(prefix): v for k, v in state.items()}
            hits = sum(k in named for k in needed)
            if hits > most and len(named) == len(state):
                best, most = named, hits
    return best


def _is_classifier(key: str, dropped: Collection[str]) -> bool:
    top = key.split(".", maxsplit=1)[0]
    return key in dropped or top in dropped or top in _CLASSIFIERS


def adapt_input(weight: Tensor, n_in: int) -> Tensor:
    """Return a convolution's weight [out, 3, h, w] for `n_in` channels, [out, n_in, h, w].

    One channel gets the sum of the three; others take them in turn, rescaled by 3/n, so that the
    responses keep their size. Weights that are not for 3 channels stay as they are.
    """
    if weight.shape[1] != 3 or n_in == 3:
        return weight
    if n_in == 1:
        return weight.sum(dim=1, keepdim=True)
    return weight[:, [i % 3 for i in range(n_in)]] * (3 / n_in)


def wants_bar() -> bool:
    """Return whether somebody watches: in a terminal or a notebook, not in a log."""
    return output_place(sys.stderr) != "plain"


@contextlib.contextmanager
def download_help(file: str, folder: Path, url: str, place: str = PLACE) -> Iterator[None]:
    """Turn a failure to fetch weights into a WeightsError with the ways out; quiet in a log.

    Args:
        file: the file's name.
        folder: where it is kept.
        url: where it comes from.
        place: how the user puts it into the folder.
    """
    quiet = contextlib.nullcontext() if wants_bar() else contextlib.redirect_stdout(io.StringIO())
    try:
        with quiet:
            yield
    except Exception as e:
        if not isinstance(e, _FETCH_ERRORS) and type(e).__name__ != "UnpicklingError":
            raise
        reason = f"{type(e).__name__}: {_first_line(e)}"
        if (folder / file).exists():
            raise WeightsError(
                f"The pretrained weights {folder / file} are there but cannot be read ({reason}). "
                f"Delete the file and get it again from {url}, or pass weights='path/to/file', or "
                "pretrained=False for random weights."
            ) from e
        raise WeightsError(
            f"The pretrained weights `{file}` are not in {folder}, and could not be fetched from "
            f"{url} ({reason}). Three ways out: {place}; or pass weights='path/to/file' (.pth or "
            ".safetensors); or start from random weights with pretrained=False."
        ) from e


def _first_line(e: BaseException) -> str:
    return (str(e).strip().splitlines() or [""])[0][:200]


def _shape(t: Tensor) -> str:
    return "x".join(str(n) for n in t.shape) or "a number"


def _some(names: Collection[str], between: str = ", ", n: int = 4) -> str:
    shown = [str(name) for name in list(names)[:n]]
    return between.join(shown) + (
        f"{between}... and {len(names) - n} more" if len(names) > n else ""
    )
