"""How much detail a picture keeps on its way to the batch: PSNR to the ideal, in dB.

    LIB=presize|fastai python benchmarks/fidelity.py PHOTO.jpg [PHOTO.jpg ...]

The movement is drawn beforehand: presize 460, turned by 10 degrees, zoomed by 1.5, tilted by 0.1,
224 px. The ideal picture is made from the photo at its full size by the same map, with 64 bicubic
readings for each pixel. The map is not computed but measured, so that nothing is assumed of a
library: a picture whose colours are the coordinates goes the same way, and a homography is fitted
to what comes out. The same script for two libraries. Prints one line of JSON, two figures:

    batch_db     a photo cut by `Resize` as for validation, then the batch transforms by themselves
    loader_db    the picture that a training loader yields for the file of a square photo
"""

import argparse
import io
import json
import os
import statistics
import tempfile
import warnings
from collections.abc import Callable

warnings.filterwarnings("ignore")
LIB = os.environ.get("LIB", "presize")
if LIB == "fastai":
    from fastai.vision.all import *
else:
    from presize.vision.all import *

PRESIZE, SIZE = 460, 224
READINGS = 8  # down and across, for a pixel of the ideal picture
MARGIN = 0.06  # of the photo: pixels that come from so near to its edge are not compared


def movements() -> list[object]:
    """Return the batch transforms, with their draws fixed."""
    middle = {"draw_x": 0.5, "draw_y": 0.5}
    return [
        Rotate(draw=10, p=1.0, size=SIZE),
        Zoom(draw=1.5, **middle, p=1.0, size=SIZE),
        Warp(draw_x=0.1, draw_y=0.1, p=1.0, size=SIZE),
    ]


def by_batch(pixels: np.ndarray) -> Tensor:
    """Return what the transforms make of a photo [h,w,3], step by step: [3,SIZE,SIZE]."""
    cut = Resize(PRESIZE)(PILImage.create(pixels), split_idx=1)
    batch = TensorImage(torch.as_tensor(np.asarray(cut)).permute(2, 0, 1)[None].float() / 255)
    made = Pipeline(setup_aug_tfms(movements()))(batch)
    return torch.as_tensor(np.asarray(made[0]))


def by_loader(pixels: np.ndarray, ending: str = ".png") -> Tensor:
    """Return what a training loader yields for the file of a square photo: [3,SIZE,SIZE]."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"photo{ending}"
        Image.fromarray(pixels).save(file, **jpeg_options(ending))
        dls = DataBlock(
            blocks=(ImageBlock, CategoryBlock),
            splitter=IndexSplitter([1]),
            get_y=lambda _: "photo",
            item_tfms=Resize(PRESIZE),  # a square leaves nothing to draw
            batch_tfms=setup_aug_tfms(movements()),
        ).dataloaders([file, file], bs=1, num_workers=0, device=torch.device("cpu"))
        x, _ = dls.train.one_batch()
        return torch.as_tensor(np.asarray(x[0]))


def jpeg_options(ending: str) -> dict[str, object]:
    """Return how a file is written: a JPEG as cameras do at their best."""
    return {"quality": 95, "subsampling": 0} if ending == ".jpg" else {}


def fitted(way: Callable[[np.ndarray], Tensor], height: int, width: int) -> np.ndarray:
    """Return the map of a way [3,3]: from places in the result to places in the photo, 0 to 1."""
    x, y = (np.arange(n) + 0.5 for n in (width, height))
    coordinates = np.zeros((height, width, 3))
    coordinates[..., 0], coordinates[..., 1] = x / width, y[:, None] / height
    seen = way((coordinates * 255).round().astype(np.uint8)).double().numpy()
    u, v = seen[0].ravel(), seen[1].ravel()
    places = (np.arange(SIZE) + 0.5) / SIZE
    px, py = (grid.ravel() for grid in np.meshgrid(places, places))
    sure = (np.minimum(u, v) > MARGIN) & (np.maximum(u, v) < 1 - MARGIN)
    u, v, px, py = u[sure], v[sure], px[sure], py[sure]
    one, none = np.ones_like(px), np.zeros_like(px)
    # u (h6 x + h7 y + 1) = h0 x + h1 y + h2, and the same for v: linear in the eight unknowns.
    rows_u = [px, py, one, none, none, none, -u * px, -u * py]
    rows_v = [none, none, none, px, py, one, -v * px, -v * py]
    system = np.concatenate([np.stack(rows_u, 1), np.stack(rows_v, 1)])
    found = np.linalg.lstsq(system, np.concatenate([u, v]))[0]
    return np.append(found, 1.0).reshape(3, 3)


def ideal(pixels: np.ndarray, places: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return the picture that a map makes of a photo, and which of its pixels are compared."""
    n = SIZE * READINGS
    fine = (np.arange(n) + 0.5) / n
    x, y = np.meshgrid(fine, fine)
    mapped = np.stack([x, y, np.ones_like(x)], -1) @ places.T
    uv = mapped[..., :2] / mapped[..., 2:]
    grid = torch.from_numpy(uv * 2 - 1)[None]
    source = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].double() / 255
    options = {"mode": "bicubic", "padding_mode": "reflection", "align_corners": False}
    made = F.avg_pool2d(F.grid_sample(source, grid, **options), READINGS)[0].clamp(0, 1)
    inside = ((uv > MARGIN) & (uv < 1 - MARGIN)).all(-1)
    kept = inside.reshape(SIZE, READINGS, SIZE, READINGS).all((1, 3))
    return made, torch.from_numpy(kept)


def decibels(made: Tensor, pixels: np.ndarray, places: np.ndarray) -> float:
    """Return the PSNR of a picture to the ideal one, which a map makes of a photo."""
    want, kept = ideal(pixels, places)
    error = (made.double() - want)[:, kept].square().mean()
    return float(-10 * error.log10())


def as_decoded(pixels: np.ndarray) -> np.ndarray:
    """Return a photo as it comes out of a JPEG at full size: what a loader can at best see."""
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "JPEG", **jpeg_options(".jpg"))
    return np.asarray(Image.open(held).convert("RGB"))


def main() -> None:
    """Print the mean over the photos."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+")
    batch, loader = [], []
    for photo in parser.parse_args().photos:
        pixels = np.asarray(Image.open(photo).convert("RGB"))
        places = fitted(by_batch, *pixels.shape[:2])
        batch.append(decibels(by_batch(pixels), pixels, places))
        side = min(pixels.shape[:2])
        top, left = ((n - side) // 2 for n in pixels.shape[:2])
        square = pixels[top : top + side, left : left + side]
        places = fitted(by_loader, side, side)
        loader.append(decibels(by_loader(square, ".jpg"), as_decoded(square), places))
    result = {"lib": LIB, "photos": len(batch)}
    result |= {"batch_db": round(statistics.mean(batch), 2)}
    print(json.dumps(result | {"loader_db": round(statistics.mean(loader), 2)}))


if __name__ == "__main__":
    main()
