"""Decoders, kind by kind of file: the table behind `presize.data.decoders`.

    OMP_NUM_THREADS=1 python benchmarks/decode.py PHOTOS [BIG] [--rounds 9] [--quiet]

PHOTOS is a folder of JPEGs of about 500 px, BIG one of about 3000 px. Other kinds and sizes are
made of the photos. Prints tables in Markdown: milliseconds a picture from bytes in memory to an
array, in one thread and in two (a decoder that keeps Python's lock gains nothing by the second);
the largest difference to Pillow's pixels; and what decoders do with damaged files. The rounds of
all decoders alternate. In one thread the least time of each picture counts, in two the least time
of all: on a shared machine the others measure the neighbours. With --quiet (Linux) a round waits
until the neighbours rest. torchvision and simplejpeg are in the table if they are installed.
"""

import argparse
import io
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from presize.data.reading import read_pixels

warnings.filterwarnings("ignore")
cv2.setNumThreads(1)
Decode = Callable[[bytes], np.ndarray]
QUIET = False


def opencv(flags: int) -> Decode:
    """Return OpenCV's decoder; EXIF is left alone."""
    flags |= cv2.IMREAD_IGNORE_ORIENTATION
    return lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), flags)


def pillow(times: int = 1, mode: str = "RGB") -> Decode:
    """Return Pillow's decoder, at a part of the size for a JPEG."""

    def decode(data: bytes) -> np.ndarray:
        im = Image.open(io.BytesIO(data))
        if times > 1:
            im.draft(None, (max(1, im.width // times), max(1, im.height // times)))
        return np.asarray(im if im.mode == mode else im.convert(mode))

    return decode


def ours(times: int = 1, mode: str = "RGB") -> Decode:
    """Return what presize does: the header, then the decoder of the table."""
    return lambda data: read_pixels(data, mode, orient=False, reduce=lambda _: times).pixels


def torchvisions(kind: str, mode: str = "RGB") -> dict[str, Decode]:
    """Return torchvision's decoder, if it is installed and knows the kind."""
    try:
        import torch
        from torchvision import io as tv
    except ImportError:
        return {}
    torch.set_num_threads(1)
    decode = getattr(tv, f"decode_{kind.lower()}", None)
    wanted = tv.ImageReadMode.GRAY if mode == "L" else tv.ImageReadMode.RGB

    def run(data: bytes) -> np.ndarray:
        pixels = decode(torch.frombuffer(data, dtype=torch.uint8), wanted)
        return pixels.permute(1, 2, 0).contiguous().numpy()

    return {"torchvision": run} if decode and kind != "GIF" else {}


def simplejpegs(times: int = 1) -> dict[str, Decode]:
    """Return simplejpeg's decoder, if it is installed."""
    try:
        import simplejpeg
    except ImportError:
        return {}
    if times == 1:
        return {"simplejpeg": lambda data: simplejpeg.decode_jpeg(data, "RGB")}

    def decode(data: bytes) -> np.ndarray:
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        least = {"min_height": -(-height // times), "min_width": -(-width // times)}
        return simplejpeg.decode_jpeg(data, "RGB", **least)

    return {"simplejpeg": decode}


def of_jpeg(times: int) -> dict[str, Decode]:
    """Return all decoders of JPEG at 1/`times` of the size."""
    small = 8 * times if times > 1 else 0  # IMREAD_REDUCED_GRAYSCALE_2 is 16, and so on
    found = {"Pillow": pillow(times), "OpenCV": opencv(cv2.IMREAD_COLOR_RGB | small)}
    if times == 1:
        found |= torchvisions("JPEG")
    return found | simplejpegs(times) | {"presize": ours(times)}


def of_other(kind: str, mode: str = "RGB") -> dict[str, Decode]:
    """Return all decoders of another kind."""
    flags = cv2.IMREAD_GRAYSCALE if mode == "L" else cv2.IMREAD_COLOR_RGB
    found = {"Pillow": pillow(mode=mode), "OpenCV": opencv(flags)}
    return found | torchvisions(kind, mode) | {"presize": ours(mode=mode)}


def row(name: str, files: list[bytes], decoders: dict[str, Decode], rounds: int) -> None:
    """Measure all decoders on some files and print a line for each."""
    one = {which: np.full(len(files), np.inf) for which in decoders}
    two = dict.fromkeys(decoders, float("inf"))
    halves = [files[0::2], files[1::2]]

    def work(decode: Decode, part: list[bytes]) -> list[float]:
        times = [time.perf_counter()]
        for data in part:
            decode(data)
            times.append(time.perf_counter())
        return list(np.diff(times))

    with ThreadPoolExecutor(2) as pool:
        for _ in range(rounds):
            for which, decode in decoders.items():
                wait_for_quiet()
                one[which] = np.minimum(one[which], work(decode, files))
                start = time.perf_counter()
                list(pool.map(work, [decode, decode], halves))
                two[which] = min(two[which], time.perf_counter() - start)
    for which, decode in decoders.items():
        a, b = one[which].mean() * 1e3, two[which] / len(files) * 1e3
        apart = max(distance(decode(data), decoders["Pillow"](data)) for data in files[:16])
        print(f"| {name} | {which} | {a:.3f} | {b:.3f} | {apart} |", flush=True)


def wait_for_quiet(most: float = 2) -> None:
    """Wait until all processors rest, `most` seconds at most; only with --quiet."""
    end = time.monotonic() + most
    while QUIET and time.monotonic() < end:
        before = idle_ticks()
        time.sleep(0.1)
        if idle_ticks() - before >= 0.9 * 10 * (os.cpu_count() or 1):  # 100 ticks a second
            return


def idle_ticks() -> int:
    """Return how long processors have rested since the machine started."""
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[4])


def distance(found: np.ndarray, expected: np.ndarray) -> int:
    """Return the largest difference of two pictures, in levels."""
    return int(np.abs(found.reshape(expected.shape).astype(int) - expected).max())


def encoded(im: Image.Image, kind: str, **options: object) -> bytes:
    """Return a picture as a file in memory."""
    file = io.BytesIO()
    im.save(file, kind, **options)
    return file.getvalue()


def damaged(data: bytes) -> dict[str, bytes]:
    """Return one JPEG with the faults that JPEGs have."""
    middle = len(data) // 2
    return {
        "whole": data,
        "cut short": data[:middle],
        "without end marker": data[:-2],
        "a part missing": data[:middle] + data[middle + 4000 :],
        "a foreign marker in the data": data[:middle] + b"\xff\x37" + data[middle + 2 :],
        "4 kB of zeros": data[:middle] + bytes(4096) + data[middle + 4096 :],
    }


def outcome(decode: Decode, data: bytes) -> str:
    """Say in a word what a decoder makes of a file."""
    try:
        return "a picture" if decode(data) is not None else "nothing"
    except Exception as error:
        return type(error).__name__


def faults(data: bytes) -> None:
    """Print what each decoder makes of damaged files."""
    decoders = of_jpeg(1)
    print("\n| fault |", " | ".join(decoders), "|\n|---|" + "---|" * len(decoders))
    for fault, broken in damaged(data).items():
        print(f"| {fault} |", " | ".join(outcome(d, broken) for d in decoders.values()), "|")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("big", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quiet", action="store_true", help="wait until the machine rests")
    given = parser.parse_args()
    global QUIET  # noqa: PLW0603  # a switch of the script
    QUIET = given.quiet
    photos = [path.read_bytes() for path in sorted(given.photos.glob("*.jpg"))[:64]]
    ims = [Image.open(io.BytesIO(data)).convert("RGB") for data in photos]
    small = [im.resize((224, 224), Image.Resampling.LANCZOS) for im in ims]
    digits = [im.convert("L").resize((28, 28)) for im in ims] * 4
    jpegs = {"JPEG 224 px": [encoded(im, "JPEG", quality=90) for im in small] * 2}
    jpegs |= {"JPEG 500 px": photos}
    if given.big is not None:
        jpegs["JPEG 3000 px"] = [p.read_bytes() for p in sorted(given.big.glob("*.jpg"))[:12]]
    print("| kind | decoder | ms, 1 thread | ms, 2 threads | levels from Pillow |")
    print("|---|---|---|---|---|")
    for name, files in jpegs.items():
        for times in (1, 2, 4, 8):
            row(f"{name}, 1/{times}", files, of_jpeg(times), given.rounds)
    for mode in ("L", "RGB"):
        files = [encoded(im, "PNG") for im in digits]
        row(f"PNG 28 px gray as {mode}", files, of_other("PNG", mode), given.rounds)
    for size, some in (("224 px", small[:32]), ("500 px", ims[:16])):
        for kind in ("PNG", "WEBP", "TIFF", "BMP", "PPM", "GIF"):
            row(f"{kind} {size}", [encoded(i, kind) for i in some], of_other(kind), given.rounds)
        files = [encoded(im.quantize(), "PNG") for im in some]
        row(f"PNG palette {size}", files, of_other("PNG"), given.rounds)
    faults(photos[0])


if __name__ == "__main__":
    main()
