"""Says in the user's words why a picture cannot be read."""

import itertools
import os
import pathlib

from PIL import Image, UnidentifiedImageError

from presize.core.errors import ImageError, did_you_mean
from presize.data.namedbytes import NamedBytes

Source = pathlib.Path | bytes

WAY_OUT = " Replace it or leave it out; `verify_images(files)` lists all that cannot be read."
# How files begin. The first group are pictures, so that a known beginning means a broken inside.
_PICTURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
}
_OTHERS = {
    b"<!DOCTYPE": "a web page, perhaps the error page of a download",
    b"<!doctype": "a web page, perhaps the error page of a download",
    b"<html": "a web page, perhaps the error page of a download",
    b"<svg": "a drawing (SVG), which has to be turned into pixels first",
    b"%!PS": "a drawing (PostScript), which has to be turned into pixels first",
    b"\xc5\xd0\xd3\xc6": "a drawing (PostScript), which has to be turned into pixels first",
    b"<?xml": "an XML file",
    b"%PDF": "a PDF file",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"version https://git-lfs": "a Git LFS pointer; fetch the pictures with `git lfs pull`",
}


def unreadable(source: Source, error: Exception) -> ImageError:
    """Return the error to raise when reading `source` failed with `error`."""
    path, name = _named(source)
    if isinstance(error, Image.DecompressionBombError):
        return ImageError(f"{name} {_bomb(error)}", path)
    if path is not None and path.is_symlink() and not path.exists():
        return ImageError(f"{name} is a link to `{path.readlink()}`, which does not exist.", path)
    if path is not None and not path.exists():
        return ImageError(f"There is no picture at {name}.{_nearest(path)}", path)
    if path is not None and path.is_dir():
        what = f"{name} is a folder, not a picture; `get_image_files` lists the pictures in it."
        return ImageError(what, path)
    if isinstance(error, OSError) and error.errno is not None:
        return ImageError(f"{name} cannot be opened: {os.strerror(error.errno)}.", path)
    start, n = _beginning(source)
    way_out = WAY_OUT if path is not None else ""
    return ImageError(f"{name} cannot be read: {_wrong(start, n, error)}.{way_out}", path)


def unsuitable(source: Source, error: Exception | str) -> ImageError:
    """Return the error to raise for a sound picture that is not of the kind that is wanted."""
    path, name = _named(source)
    return ImageError(f"{name} cannot be used: {error}.", path)


def _named(source: Source) -> tuple[pathlib.Path | None, str]:
    if isinstance(source, NamedBytes):
        return None, f"`{source.name}`"
    if isinstance(source, bytes):
        return None, "The picture in memory"
    return source, f"`{source}`"


def _bomb(error: Exception) -> str:
    return (
        f"is larger than the guard against decompression bombs allows ({error}). If you trust it, "
        f"set PIL.Image.MAX_IMAGE_PIXELS to a larger number of pixels, or to None."
    )


def _nearest(path: pathlib.Path) -> str:
    """Say what is there instead of a missing file."""
    folder = path.parent
    if not folder.is_dir():
        there = next((p for p in folder.parents if p.is_dir()), None)
        where = f"; the nearest folder that exists is `{there}`" if there is not None else ""
        return f" There is no folder `{folder}`{where}."
    with os.scandir(folder) as entries:
        # A few hundred names are compared at most: comparing costs about 10 us a name.
        names = [entry.name for entry in itertools.islice(entries, 500)]
    if not names:
        return f" The folder `{folder}` is empty."
    return did_you_mean(path.name, names) or f" The folder `{folder}` has no name like it."


def _beginning(source: Source, n: int = 64) -> tuple[bytes, int]:
    """Return the first bytes of the source and its length."""
    if isinstance(source, bytes):
        return source[:n], len(source)
    with source.open("rb") as file:
        return file.read(n), source.stat().st_size


def _wrong(start: bytes, n: int, error: Exception) -> str:
    if n == 0:
        return "it is empty (0 bytes)"
    for magic, thing in _OTHERS.items():
        if start.lstrip().startswith(magic):
            return f"it is not a picture but {thing}"
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1"):
        return "it is a HEIC picture, which Pillow reads only with the package pillow-heif"
    kind = _kind(start)
    if kind is None and isinstance(error, UnidentifiedImageError):
        return f"it is not a picture of any known kind ({n} bytes that begin with {start[:8]!r})"
    a_kind = f"it is a {kind} picture" if kind else "it is a picture"
    size = _header_size(start, kind)
    if size is not None and 0 in size:
        return f"{a_kind} without pixels: its header says {size[0]}x{size[1]}"
    if isinstance(error, UnidentifiedImageError):
        return f"{a_kind} by its first bytes, but what follows is damaged"
    text = str(error).rstrip(".")
    if any(word in text.lower() for word in ("truncated", "unexpected end", "eof", "not enough")):
        return f"{a_kind} that is cut short ({text}), as by a download that broke off"
    return f"{a_kind} whose data is damaged ({text or type(error).__name__})"


def _kind(start: bytes) -> str | None:
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP"
    return next((kind for magic, kind in _PICTURES.items() if start.startswith(magic)), None)


def _header_size(start: bytes, kind: str | None) -> tuple[int, int] | None:
    """Return (width, height) where the header has them at a fixed place."""
    if kind == "GIF" and len(start) >= 10:
        return int.from_bytes(start[6:8], "little"), int.from_bytes(start[8:10], "little")
    if kind == "PNG" and start[12:16] == b"IHDR" and len(start) >= 24:
        return int.from_bytes(start[16:20]), int.from_bytes(start[20:24])
    return None
