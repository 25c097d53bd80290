"""State on disk without pickle: tensors and JSON in one .safetensors file, written atomically."""

import contextlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from presize.core.leftovers import remove_leftovers
from presize.train.optim_state import flatten_optimizer as flatten_optimizer
from presize.train.optim_state import restore_optimizer as restore_optimizer
from presize.train.reading import FORMAT, HEADER, MOST_HEADER, add_aliases, opened, our_header
from presize.train.weights_state import LoadReport as LoadReport
from presize.train.weights_state import load_weights as load_weights

_WAY_OUT = "copy or download it again"


def save_state(
    path: str | os.PathLike[str], *, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]
) -> None:
    """Write tensors and JSON to one file, which is there whole or as it was before.

    Tensors that are one in memory (tied weights) are written once and are one again when read;
    views, non-contiguous and empty tensors are fine, on any device.

    Args:
        path: the file; its folder is made if need be.
        tensors: by name.
        meta: whatever else, JSON only; infinities and NaN are allowed as numbers.

    Raises:
        TypeError: a value is no tensor, has a dtype the format lacks, or is not JSON; it says
            where.
        OSError: the file cannot be written.
    """
    path = pathlib.Path(path)
    aliases, distinct = _without_aliases(tensors)
    _check_json(dict(meta), "meta")
    header = json.dumps({"format": FORMAT, "aliases": aliases, "meta": dict(meta)})
    if len(header) > MOST_HEADER // 2:
        raise TypeError(
            f"meta takes {len(header):,} bytes as JSON, and a file's header has at most half of "
            f"{MOST_HEADER:,}. Put long lists of numbers among the tensors."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.touch()
        mode = part.stat().st_mode  # what the user's umask gives; save_file makes it private
        _save(distinct, part, {HEADER: header})
        part.chmod(mode)
        _to_disk(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # Windows cannot open a folder; the file is safe by then
        _to_disk(path.parent)


def _save(tensors: dict[str, Tensor], path: pathlib.Path, metadata: dict[str, str]) -> None:
    try:
        save_file(tensors, path, metadata=metadata)
    except SafetensorError as error:  # what it says of a full disk, too
        raise OSError(f"{path} cannot be written: {error}.") from error


def _to_disk(path: pathlib.Path) -> None:
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _without_aliases(tensors: Mapping[str, Tensor]) -> tuple[dict[str, str], dict[str, Tensor]]:
    aliases: dict[str, str] = {}
    distinct: dict[str, Tensor] = {}
    first: dict[tuple[object, ...], str] = {}
    memories: set[int] = set()
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"save_state writes tensors, but tensors[{name!r}] is a {type(tensor).__name__}. "
                "Put numbers and text into meta."
            )
        if tensor.dtype in (torch.complex128, torch.complex32) or tensor.is_quantized:
            raise TypeError(
                f"tensors[{name!r}] is {tensor.dtype}, which a .safetensors file cannot hold."
            )
        where = (tensor.data_ptr(), tensor.device, tensor.dtype, tensor.shape, tensor.stride())
        if tensor.numel() and where in first:
            aliases[name] = first[where]
            continue
        first[where] = name
        plain = tensor.detach().cpu().contiguous()
        memory = plain.untyped_storage().data_ptr()
        # Two that overlap without being the same are copied apart: the format refuses them.
        distinct[name] = plain.clone() if memory in memories else plain
        memories.add(memory)
    return aliases, distinct


def _check_json(value: object, where: str) -> None:
    if value is None or isinstance(value, bool | int | float | str):
        return
    if isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _check_json(item, f"{where}[{number}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(
                    f"{where} has the key {key!r}; in JSON keys are text. Use {str(key)!r}."
                )
            _check_json(item, f"{where}[{key!r}]")
    else:
        raise TypeError(
            f"{where} is a {type(value).__name__}, which is not JSON: use numbers, text, lists "
            "and dicts, and put tensors among the tensors."
        )


def load_state(
    path: str | os.PathLike[str],
    device: torch.device | str = "cpu",
    *,
    way_out: str = _WAY_OUT,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_state` wrote; nothing is unpickled, and nothing in the file is run.

    Args:
        path: the file.
        device: where the tensors shall be, wherever they were when written.
        way_out: what to do if the file is cut short, for the error.

    Returns:
        The tensors by name, and meta.

    Raises:
        FileNotFoundError: it is not there; files nearby are named.
        ModelFileError: it is incomplete, a pickle, or not ours.
    """
    path = pathlib.Path(path)
    with opened(path, way_out) as file:
        header = our_header(path, file.metadata())
        # clone: what safe_open returns is mapped from the file, and changes if that does
        tensors = {name: file.get_tensor(name).clone().to(device) for name in file.keys()}  # noqa: SIM118
    add_aliases(path, tensors, header["aliases"])
    return tensors, header["meta"]


def load_meta(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read only the JSON that `save_state` wrote; raises what `load_state` raises."""
    path = pathlib.Path(path)
    with opened(path, _WAY_OUT) as file:
        meta: dict[str, Any] = our_header(path, file.metadata())["meta"]
    return meta
