"""What a picture looks like in small, and a fingerprint of that: 63 bits that copies share.

The fingerprint is of the kind of pHash: the signs of the lowest frequencies of the picture in 32 x
32 gray values. Size, compression, brightness and contrast hardly touch them. Compared against
zero rather than against their median, it has a mirror image: at odd horizontal frequencies the
cosine changes its sign and at even ones it does not, so mirroring flips fixed bits.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Grays = npt.NDArray[np.uint8]
Chromas = npt.NDArray[np.int8]
Fingerprints = npt.NDArray[np.uint64]

SIDE = 32
CELLS = 4
_LOW = 8
_CHUNK = 4096  # pictures at a time: 16 MB as float32


@dataclass(frozen=True, slots=True)
class Look:
    """A picture in small.

    Args:
        gray: uint8 [32,32].
        chroma: int8 [4,4,2], how blue and how red the parts are; 0 is gray.
    """

    gray: Grays
    chroma: Chromas


def look_of(im: Image.Image) -> Look:
    """Return what an upright picture of mode RGB or L looks like, whatever its aspect."""
    small = im.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    if small.mode == "L":
        return Look(np.asarray(small), np.zeros((CELLS, CELLS, 2), np.int8))
    luma, blue, red = (np.asarray(band) for band in small.convert("YCbCr").split())
    chroma = np.stack([blue, red], axis=-1).astype(np.float32) - 128
    part = SIDE // CELLS
    means = chroma.reshape(CELLS, part, CELLS, part, 2).mean((1, 3))
    return Look(luma, means.astype(np.int8))


def fingerprints(grays: Grays) -> Fingerprints:
    """Return the fingerprints of pictures [n,32,32]; near in Hamming distance is near in looks."""
    cosines = _cosines()
    parts = [np.empty((0,), np.uint64)]
    for start in range(0, len(grays), _CHUNK):
        low = cosines @ grays[start : start + _CHUNK].astype(np.float32) @ cosines.T
        bits = low.reshape(-1, _LOW * _LOW) > 0
        bits[:, 0] = False  # the mean, which says how bright a picture is
        parts.append(_packed(bits))
    return np.concatenate(parts)


def mirrored(prints: Fingerprints) -> Fingerprints:
    """Return the fingerprints of the pictures mirrored left to right."""
    odd = np.tile(np.arange(_LOW) % 2 == 1, _LOW)
    flipped: Fingerprints = prints ^ _packed(odd[None])[0]
    return flipped


def _cosines() -> npt.NDArray[np.float32]:
    """Return the 8 lowest rows of the cosine transform, [8,32]."""
    frequency, place = np.arange(_LOW)[:, None], np.arange(SIDE)[None]
    return np.cos(np.pi / SIDE * frequency * (place + 0.5)).astype(np.float32)


def _packed(bits: npt.NDArray[np.bool_]) -> Fingerprints:
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint64)[:, 0]
