"""What kind of file something is, told from its bytes: nothing is unpacked, parsed whole or run.

Whoever opens a file that is not one of presize's says with this what it is, and the way out.
"""

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "safetensors", "fastai", "pickle", "torch", "program", "keras", "onnx", "hdf5", "tflite",
    "gguf", "picture", "page", "json", "text", "lfs", "zip", "archive", "numpy", "empty",
    "unknown",
]  # fmt: skip

_START, _END = 1 << 20, 1 << 18  # what is looked at, whatever the size
_MOST_PICKLES = 3  # that are looked into: torch.save writes one
_MAGIC: tuple[tuple[bytes, int, Kind], ...] = (
    (b"\x89HDF\r\n\x1a\n", 0, "hdf5"),
    (b"TFL3", 4, "tflite"),
    (b"GGUF", 0, "gguf"),
    (b"\xff\xd8\xff", 0, "picture"),
    (b"\x89PNG\r\n\x1a\n", 0, "picture"),
    (b"GIF8", 0, "picture"),
    (b"WEBP", 8, "picture"),
    (b"II*\0", 0, "picture"),
    (b"MM\0*", 0, "picture"),
    (b"\x93NUMPY", 0, "numpy"),
    (b"\x1f\x8b", 0, "archive"),
    (b"ustar", 257, "archive"),
    (b"7z\xbc\xaf", 0, "archive"),
    (b"\xfd7zXZ", 0, "archive"),
    (b"BZh", 0, "archive"),
    (b"version https://git-lfs", 0, "lfs"),
)
_PICKLES = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file, and what it is in words: "an ONNX model".

    Args:
        kind: of a few that are told apart.
        words: what to call it in a message.
        is_pickle: whether reading it as its maker does would run what is in it.
    """

    kind: Kind
    words: str
    is_pickle: bool = False


_WORDS: dict[Kind, str] = {
    "safetensors": "a .safetensors file",
    "fastai": "a model that fastai exported, which is a pickle",
    "pickle": "a pickle",
    "torch": "a pickle, as torch.save writes it",
    "program": "a program that torch.export wrote",
    "keras": "a Keras model",
    "onnx": "an ONNX model",
    "hdf5": "an HDF5 file, as older versions of Keras write models",
    "tflite": "a TensorFlow Lite model",
    "gguf": "a GGUF model",
    "picture": "a picture",
    "page": "a web page: what was downloaded is a site's answer and not the file",
    "json": "a JSON file",
    "text": "a text file",
    "lfs": "a pointer of Git LFS, which stands for a file that was not fetched (`git lfs pull`)",
    "zip": "a zip archive",
    "archive": "an archive, which has to be unpacked first",
    "numpy": "a NumPy file",
    "empty": "an empty file",
    "unknown": "of an unknown kind",
}
_PICKLED: tuple[Kind, ...] = ("fastai", "pickle", "torch")


def file_kind(path: str | os.PathLike[str]) -> FileKind:
    """Say what kind of file this is, from at most 1.3 MB of it.

    Raises:
        OSError: it cannot be read.
    """
    file = Path(path)
    with file.open("rb") as handle:
        start = handle.read(_START)
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(0, size - _END))
        end = handle.read(_END) if start[:4] in _ZIP else b""
    kind = _kind(start, end, file.suffix.lower())
    return FileKind(kind, _WORDS[kind], is_pickle=kind in _PICKLED)


def _kind(start: bytes, end: bytes, suffix: str) -> Kind:
    if not start:
        return "empty"
    if start[8:9] == b"{" and start[:2] not in (b"{\n", b'{"'):
        return "safetensors"
    for magic, place, kind in _MAGIC:
        if start[place : place + len(magic)] == magic:
            return kind
    if start[:4] in _ZIP:
        return _zip_kind(start, end)
    if start[:2] in _PICKLES or _is_old_pickle(start):
        return "fastai" if _of_fastai(start) else "torch" if _is_legacy_torch(start) else "pickle"
    if suffix == ".onnx" or _looks_like_onnx(start):
        return "onnx"
    return _text_kind(start)


def _text_kind(start: bytes) -> Kind:
    head = start[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<body")):
        return "page"
    control = sum(byte < 9 or 13 < byte < 32 for byte in start[:4096])
    if control:
        return "unknown"
    return "json" if head[:1] in (b"{", b"[") else "text"


def _zip_kind(start: bytes, end: bytes) -> Kind:
    """Tell by the names of its entries, from their headers at both ends; nothing is unpacked."""
    names = {*_names(start, b"PK\x03\x04", 26, 30), *_names(end, b"PK\x01\x02", 28, 46)}
    last = {name.rpartition("/")[2] for name in names}
    if any("/models/" in f"/{name}" and name.endswith(".json") for name in names) or (
        "archive_format" in last or "serialized_exported_program.json" in last
    ):
        return "program"
    if {"model.weights.h5", "config.json"} & last:
        return "keras"
    if {"data.pkl", "constants.pkl"} & last:
        return (
            "fastai" if any(map(_of_fastai, islice(_pickles_in(start), _MOST_PICKLES))) else "torch"
        )
    if last and all(name.endswith(".npy") for name in last):
        return "numpy"
    return "zip"


def _names(data: bytes, magic: bytes, length_at: int, name_at: int) -> Iterator[str]:
    place = data.find(magic)
    while place >= 0:
        length = int.from_bytes(data[place + length_at : place + length_at + 2], "little")
        yield data[place + name_at : place + name_at + length].decode("utf-8", "replace")
        place = data.find(magic, place + 4)


def _pickles_in(start: bytes) -> Iterator[bytes]:
    """Yield what follows the header of each entry data.pkl; PyTorch does not compress them."""
    for found in re.finditer(rb"PK\x03\x04", start):
        place = found.start()
        name, extra = (
            int.from_bytes(start[place + at : place + at + 2], "little") for at in (26, 28)
        )
        if start[place + 30 : place + 30 + name].endswith(b"data.pkl"):
            yield start[place + 30 + name + extra :]


def _of_fastai(pickle: bytes) -> bool:
    return any(name.split(".")[0] in ("fastai", "fastcore") for name in modules_named(pickle))


def modules_named(pickle: bytes) -> set[str]:
    """Return the modules that a pickle names, from its opcodes, which are read and not run."""
    import pickletools

    found: set[str] = set()
    texts: list[str] = []
    stream = io.BytesIO(pickle)
    try:
        while stream.tell() < len(pickle):  # older files of torch are several, one after another
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name == "GLOBAL":
                    found.add(str(argument).split(" ")[0])
                elif opcode.name == "STACK_GLOBAL":
                    # Its two texts were the last two, unless one is taken from the memo.
                    found.update(texts[-2:])
                elif isinstance(argument, str):
                    texts = [*texts[-1:], argument]
    except Exception:  # cut short or no pickle: as far as it goes, whatever the reader raises
        return found
    return found


def _is_legacy_torch(start: bytes) -> bool:
    return start[:14] == b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"  # PyTorch's magic number


def _is_old_pickle(start: bytes) -> bool:
    """Say whether it is a pickle of protocol 0 or 1, which has no mark at its beginning."""
    import pickletools

    if start[:1] not in b"(c]}l":
        return False
    try:
        opcodes = [opcode.name for opcode, _, _ in pickletools.genops(io.BytesIO(start))]
    except Exception:  # whatever the reader raises of other bytes
        return False
    return len(opcodes) > 1 and opcodes[-1] == "STOP"


def _looks_like_onnx(start: bytes) -> bool:
    # Field 1 of the message, the version as a small number, then the producer or the graph.
    return start[:1] == b"\x08" and start[1:2] < b"\x20" and start[2:3] in b"\x12\x3a\x42"


def how_to_convert(kind: Kind) -> str:
    """Return the way out for somebody who has such a file in the place of one of presize's."""
    return _WAYS.get(kind, "Is it the right file? One of presize's comes from learn.export(...).")


_WAYS: dict[Kind, str] = {
    "fastai": (
        "presize never opens pickles, as that runs the code in them. If you trust the file, take "
        "the weights out where fastai is installed: learn = load_learner(...), then "
        "torch.save(learn.model.state_dict(), 'weights.pth'), and note learn.dls.vocab. In presize "
        "make the learner of the same architecture and classes with vision_learner(...), load them "
        "with learn.model.load_state_dict(torch.load('weights.pth', weights_only=True)), and keep "
        "it with learn.export('model.safetensors')."
    ),
    "pickle": (
        "Opening one runs code that is in it, so presize never does. Where it was made, write the "
        "weights alone, torch.save(model.state_dict(), 'weights.pth'), and give that to weights= "
        "when you make the learner."
    ),
    "torch": (
        "Opening one runs code that is in it, so presize never does. If you trust the file, write "
        "its weights anew with safetensors.torch.save_file(torch.load(path, weights_only=True), "
        "new_path), and give that to weights=."
    ),
    "program": (
        "torch.export.load runs it, but it can be neither trained nor read as weights. Use the "
        ".safetensors file that it was exported from."
    ),
    "onnx": (
        "onnxruntime runs it; `presize inspect` shows what presize wrote into it. It cannot be "
        "trained: use the .safetensors file that it was exported from."
    ),
    "keras": "It holds layers that PyTorch has not: train the classes anew, see vision_learner.",
    "hdf5": "It holds layers that PyTorch has not: train the classes anew, see vision_learner.",
    "picture": "Are the file of the model and the picture in the wrong order?",
    "page": "Get the file itself: look for a link that ends in .safetensors, or says raw.",
    "lfs": "Fetch the file itself, then try again.",
    "empty": "Copying or downloading it has failed: get it again.",
}
