"""How far exported models agree with PyTorch on real pictures, and how fast they are.

    python benchmarks/export.py PICTURES PETS WEIGHTS.pth [--count N] [--size S] [--epochs E]

PICTURES holds train/<class> and val/<class>, PETS more photos of many sizes; WEIGHTS is a
MobileNetV2 in torchvision's layout. Two classifiers of PICTURES, a MobileNetV2 with these weights
and a resnet18 without any, are trained for E epochs, exported with and without preprocessing in
the graph, and in 8 bits, and compared with PyTorch on N photos of both folders. Prints a line of
JSON for each file: the part of photos with the same answer, the largest difference of a
probability, milliseconds a photo one at a time, and what 8 bits cost in accuracy on val.
"""

import argparse
import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from label_errors import FrozenBody, hub_with

warnings.filterwarnings("ignore")


def trained(pictures: Path, arch: Any, size: int, epochs: int, *, pretrained: bool) -> Any:
    """Return a learner of the classes of `pictures`, of which val is the validation set."""
    from presize.augment.presets import Normalize, imagenet_stats
    from presize.data.folders import ImageDataLoaders
    from presize.data.resize import Resize
    from presize.vision.learner import vision_learner

    dls = ImageDataLoaders.from_folder(
        pictures,
        valid="val",
        item_tfms=Resize(size),
        batch_tfms=Normalize.from_stats(*imagenet_stats),
        bs=32,
        num_workers=1,
    )
    frozen = {"train_bn": False, "ps": 0, "cbs": FrozenBody()} if pretrained else {}
    learn = vision_learner(dls, arch, pretrained=pretrained, **frozen)
    with learn.no_logging():
        learn.fit_one_cycle(epochs, 3e-3)
    return learn


def photos(pictures: Path, pets: Path, count: int) -> list[Path]:
    """Return so many photos, of `pictures` first."""
    from presize.data.items import get_image_files

    found = [Path(f) for place in (pictures, pets) for f in sorted(get_image_files(place))]
    if len(found) < count:
        raise SystemExit(f"{pictures} and {pets} have {len(found)} photos, fewer than {count}.")
    first = [f for f in found if f.is_relative_to(pictures)]
    others = [f for f in found if not f.is_relative_to(pictures)]
    few = max(count - len(first), count // 10)
    step = max(1, len(others) // few)
    return [*first[: count - few], *others[::step][:few]]


def exported(learn: Any, files: list[Path], name: str, folder: Path) -> None:
    """Export in all ways and print a line for each."""
    from presize.deploy.exporting.onnx import export_onnx
    from presize.deploy.exporting.program import export_program

    ways: list[tuple[str, Any, dict[str, Any]]] = [
        ("onnx", export_onnx, {"samples": files}),
        ("onnx from pixels", export_onnx, {"samples": files, "preprocessing": True}),
        ("pt2", export_program, {"samples": files}),
        ("onnx int8 dynamic", export_onnx, {"quantise": "dynamic", "most_lost": 1.0}),
        ("onnx int8 static", export_onnx, {"quantise": "static", "most_lost": 1.0}),
    ]
    for label, way, options in ways:
        target = folder / ("model.pt2" if label == "pt2" else "model.onnx")
        report = way(learn, target, quiet=True, **options)
        print(json.dumps({"model": name, "file": label, **report.to_dict()}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path)
    parser.add_argument("pets", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    from presize.core.randomness import set_seed
    from presize.models.zoo import mobilenet_v2, resnet18

    files = photos(options.pictures, options.pets, options.count)
    hub_with(options.weights)
    with tempfile.TemporaryDirectory() as folder:
        for name, arch, pretrained in (
            ("mobilenet_v2", mobilenet_v2, True),
            ("resnet18", resnet18, False),
        ):
            set_seed(0)
            learn = trained(
                options.pictures, arch, options.size, options.epochs, pretrained=pretrained
            )
            exported(learn, files, name, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
