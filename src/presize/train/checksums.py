"""The checksums of a model file: over its tensors, and over what its header says.

They tell a file that was damaged, or changed by hand. They are no signature: whoever changes a file
on purpose can write them anew.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

OF_TENSORS, OF_HEADER = "sha256", "sha256_header"


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of all tensors, as 64 hex digits."""
    return digest_of(tensors, tensors.__getitem__)


def digest_of(names: Iterable[str], tensor: Callable[[str], Tensor]) -> str:
    """Return the same, of tensors that are asked for one after the other.

    Args:
        names: of all tensors, in any order.
        tensor: from a name to its tensor.
    """
    total = hashlib.sha256()
    for name in sorted(names):
        value = tensor(name).detach().cpu().contiguous()
        about = f"{name}|{value.dtype}|{tuple(value.shape)}|"
        total.update(about.encode("utf-8", "surrogatepass"))
        # A view: hashing makes no copy of it.
        total.update(value.flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def header_digest(meta: Mapping[str, Any]) -> str:
    """Return the SHA-256 over the JSON of a header, without this checksum itself.

    It is that of the UTF-8 text with sorted keys, no spaces, and ASCII letters alone.
    """
    rest = {name: value for name, value in meta.items() if name != OF_HEADER}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
