"""Small pictures that stand in a page itself, as data URIs."""

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_BYTES = 24_000  # of a data URI; a photo of 160 x 160 takes about 8,000
_QUALITIES = (80, 65, 50, 35)
# Up to this side PNG keeps every pixel, and is hardly larger than a JPEG's header.
_DRAWING = 40


def thumbnail(picture: "Image", side: int, *, most: int = MOST_BYTES) -> str:
    """Return a picture as a data URI: its longer side at most `side`, its text at most `most` long.

    Larger pictures are reduced, smaller ones keep their size. Where it would take more than
    `most`, quality is given up first, and then size.

    Args:
        picture: of any mode; what is transparent becomes white.
        side: pixels.
        most: characters of the data URI, 2,000 at least.
    """
    if side < 1 or most < 2000:
        raise ValueError(
            f"A thumbnail has a side of 1 pixel and 2000 characters or more; got {side}, {most}."
        )
    small = _opaque(picture)
    small.thumbnail((side, side), reducing_gap=3.0)
    if max(small.size) <= _DRAWING:
        return _data_uri("png", _encoded(small, "PNG"))
    while True:
        for quality in _QUALITIES:
            found = _data_uri("jpeg", _encoded(small, "JPEG", quality))
            if len(found) <= most:
                return found
        small.thumbnail((max(small.width * 3 // 4, 1), max(small.height * 3 // 4, 1)))


def _opaque(picture: "Image") -> "Image":
    """Return a copy in gray or RGB, on white."""
    from PIL import Image

    if picture.mode in ("L", "RGB"):
        return picture.copy()
    if picture.mode in ("I", "F", "I;16", "I;16L", "I;16B", "I;16N"):
        import numpy as np

        deep = np.nan_to_num(np.asarray(picture, dtype=np.float32))
        low, high = (float(deep.min()), float(deep.max())) if deep.size else (0.0, 0.0)
        return Image.fromarray(((deep - low) * (255 / max(high - low, 1e-9))).astype(np.uint8))
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


def _encoded(picture: "Image", form: str, quality: int = 0) -> bytes:
    out = io.BytesIO()
    options = {"quality": quality, "optimize": True} if quality else {"optimize": True}
    picture.save(out, form, **options)
    return out.getvalue()


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
