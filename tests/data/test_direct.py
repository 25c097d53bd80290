import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from presize.augment.colour import Hue, Saturation
from presize.augment.geometry import Dihedral, Rotate
from presize.augment.normalize import Normalize, imagenet_stats
from presize.augment.presets import aug_transforms
from presize.core.pipeline import Pipeline
from presize.core.randomness import sample_context
from presize.core.transform import Transform
from presize.data.blocks import CategoryBlock, ImageBlock, MaskBlock, PointBlock, RegressionBlock
from presize.data.crops import CropPad
from presize.data.datablock import DataBlock
from presize.data.images import PILImage, PILImageBW
from presize.data.items import get_image_files
from presize.data.labels import RegexLabeller, parent_label, using_attr
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.data.onepass import Pass
from presize.data.resize import RandomResizedCrop, Resize
from presize.data.splits import FuncSplitter, IndexSplitter, RandomSplitter
from presize.data.streams import DeviceStream
from presize.tensors import TensorImage, TensorImageBW

BREED = using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name")
NORMAL = Normalize(*imagenet_stats)

CHAINS: list[tuple[list[Any], list[Any]]] = [
    ([Resize(96)], []),
    ([Resize(96)], [*aug_transforms(size=64, min_scale=0.75), NORMAL]),
    ([Resize(96)], [*aug_transforms(size=(48, 80), flip_vert=True), NORMAL]),
    ([Resize((80, 120), "squish")], [*aug_transforms()]),
    ([Resize(96, "pad", "zeros")], [*aug_transforms(size=64)]),
    ([RandomResizedCrop(80, min_scale=0.35)], [NORMAL]),
    ([Resize(120), CropPad(100)], [Dihedral(), Rotate(p=1.0, size=64)]),
    ([Resize(96)], [*aug_transforms(size=64), Saturation(p=1.0), NORMAL]),
    ([Resize(96)], [*aug_transforms(size=64), Hue(p=1.0), NORMAL]),
]


def pets(path: Path, item_tfms: Any, batch_tfms: Any, **options: Any) -> DataLoaders:
    block = DataBlock(
        blocks=(options.pop("block", ImageBlock), CategoryBlock),
        get_items=lambda folder: get_image_files(folder)[:24],
        splitter=RandomSplitter(0.3, seed=1),
        get_y=BREED,
        item_tfms=item_tfms,
        batch_tfms=batch_tfms,
    )
    return block.dataloaders(path, bs=6, num_workers=0, device="cpu", **options)


def batch(dl: Any, epoch: int, *, direct: bool) -> Any:
    once = Pass(dl, epoch, direct=direct)
    assert type(once.route).__name__ == ("DirectRoute" if direct else "CollatedRoute")
    return next(once.run(itertools.islice(dl._entries(), 6), 0))


def difference(one: Tensor, other: Tensor) -> float:
    """Return the mean distance of two batches of pictures, in units of 0..1."""
    gap = (one.as_subclass(Tensor) - other.as_subclass(Tensor)).abs().float()
    return float(gap.mean()) * (0.226 if one.min() < -0.05 else 1.0)


@pytest.mark.parametrize("chain", CHAINS, ids=lambda c: "+".join(map(str, Pipeline(c[0] + c[1]))))
def test_the_direct_way_means_what_the_general_way_means(
    pets_path: Path, chain: tuple[list[Any], list[Any]]
) -> None:
    dls = pets(pets_path, *chain)
    for dl, epoch in itertools.product(dls, (0, 5)):
        (x, y), (x_general, y_general) = (batch(dl, epoch, direct=d) for d in (True, False))
        assert (type(x), x.shape, x.dtype) == (type(x_general), x_general.shape, x_general.dtype)
        assert type(y) is type(y_general)
        assert torch.equal(y, y_general)
        # Once read against twice: only fine detail differs. Another draw would differ by 0.1.
        assert difference(x, x_general) < 0.016


def test_both_executions_agree_on_the_same_draws(pets_path: Path) -> None:
    """On an accelerator bytes of the presize size cross; the rest is one `grid_sample`."""
    dl = pets(pets_path, Resize(230), [*aug_transforms(size=112, min_scale=0.75), NORMAL]).train
    on_cpu = batch(dl, 3, direct=True)[0]
    bare = dl.new(after_batch=None)
    crossing = batch(bare, 3, direct=True)[0]
    assert (crossing.dtype, crossing.shape) == (torch.uint8, (6, 3, 230, 230))
    floats = TensorImage(crossing.as_subclass(Tensor).float() / 255)  # floats take grid_sample
    keys = [key for key, _ in itertools.islice(dl._entries(), 6)]
    with sample_context(dl.current_seed(), 3, keys):
        on_device = dl.after_batch(floats)
    assert on_device.shape == on_cpu.shape
    assert difference(on_cpu, on_device) < 0.012


def test_gray_pictures(mnist_path: Path) -> None:
    block = DataBlock(
        (ImageBlock(PILImageBW), CategoryBlock),
        get_items=lambda folder: get_image_files(folder)[::600],
        get_y=parent_label,
        item_tfms=Resize(32),
        batch_tfms=[*aug_transforms(size=28), Normalize([0.1], [0.3])],
    )
    dl = block.dataloaders(mnist_path / "train", bs=6, num_workers=0, device="cpu").train
    (x, _), (x_general, _) = (batch(dl, 1, direct=d) for d in (True, False))
    assert type(x) is TensorImageBW
    assert x.shape == (6, 1, 28, 28)
    assert difference(x, x_general) < 0.03


class Slow(Transform):
    def encodes(self, x: PILImage) -> PILImage:
        return x


class Own(PILImage):
    @classmethod
    def create(cls, x: Any, **options: Any) -> Any:
        return super().create(x, **options)


class OwnLoader(DataLoader):
    pass


@pytest.mark.parametrize(
    ("items", "options"),
    [
        ([Slow(), Resize(64)], {}),
        ([], {}),
        ([Resize(64)], {"block": ImageBlock(Own)}),
    ],
)
def test_what_is_not_known_takes_the_general_way(
    pets_path: Path, items: list[Any], options: dict[str, Any]
) -> None:
    dl = pets(pets_path, items, [], **options).train
    assert type(Pass(dl, 0).route).__name__ == "CollatedRoute"


@pytest.mark.parametrize(
    ("block", "target", "way"),
    [
        (MaskBlock, lambda path: np.zeros((20, 30), np.uint8), "CollatedRoute"),
        (PointBlock, lambda path: [[3.0, 4.0]], "CollatedRoute"),
        (RegressionBlock, lambda path: [1.0, 2.0], "DirectRoute"),
    ],
)
def test_targets_that_move_along_take_the_general_way(
    picture_folder: Path, block: Any, target: Any, way: str
) -> None:
    made = DataBlock(
        (ImageBlock, block), get_items=get_image_files, get_y=target, item_tfms=Resize(16)
    )
    dl = made.dataloaders(picture_folder, bs=2, num_workers=0, device="cpu").train
    assert type(Pass(dl, 0).route).__name__ == way
    assert len(next(iter(dl))) == 2


def test_arrays_bytes_and_pictures_are_sources_too(pets_path: Path) -> None:
    path = get_image_files(pets_path)[0]
    array = np.asarray(PILImage.create(path))
    sources = [str(path), path.read_bytes(), array, Image.fromarray(array)]
    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_y=lambda x: type(x).__name__,
        splitter=IndexSplitter([4, 5, 6, 7]),
        item_tfms=Resize(64),
    )
    dl = block.dataloaders(sources * 2, bs=4, num_workers=0, device="cpu").valid
    assert type(Pass(dl, 0).route).__name__ == "DirectRoute"
    x, _ = next(iter(dl))
    # A JPEG is decoded smaller, of an array blocks are averaged: not the same to the last bit.
    assert torch.equal(x[0], x[1])
    assert torch.equal(x[2], x[3])
    assert difference(x[0], x[2]) < 0.004


def test_large_pictures_of_every_format_are_read_smaller(tmp_path: Path) -> None:
    gradient = np.indices((900, 1300)).sum(0) % 256
    whole = Image.fromarray(
        np.stack([gradient, gradient.T[:900, :1] + 0 * gradient, 0 * gradient], -1).astype(np.uint8)
    )
    for kind in ("jpg", "png", "bmp", "webp"):
        for name in "ab":
            whole.save(tmp_path / f"{name}_{kind}.{kind}", quality=95)
    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_items=get_image_files,
        get_y=lambda path: path.suffix,
        item_tfms=Resize(96),
        splitter=FuncSplitter(lambda path: path.name[0] == "b"),
    )
    dl = block.dataloaders(tmp_path, bs=4, num_workers=0, device="cpu").valid
    source = Pass(dl, 0).route.source  # type: ignore[attr-defined]
    for i in range(4):
        assert source.picture(i).pixels.shape == (113, 163, 3)  # 1/8; 1/9 would be the least
        assert source.picture(i).full == (900, 1300)
    x, _ = next(iter(dl))
    floats = x.as_subclass(Tensor) / 255
    assert difference(floats, floats[:1].expand(4, -1, -1, -1)) < 0.02


def test_every_batch_is_a_picture_again_when_decoded(pets_path: Path) -> None:
    dls = pets(pets_path, Resize(96), [*aug_transforms(size=64), NORMAL])
    samples = dls.train.show_batch(show=False, max_n=4)
    assert samples is not None
    assert samples[0][0].shape == (3, 64, 64)
    x, _ = dls.train.decode(dls.one_batch())
    assert x.dtype == torch.uint8
    assert 40 < x.float().mean() < 200


def test_memory_that_a_user_keeps_is_not_written_again(pets_path: Path) -> None:
    dl = pets(pets_path, Resize(64), []).train
    kept = [x for _ in range(3) for x, _ in dl]
    copies = [x.clone() for x in kept]
    for _ in range(3):
        for _ in dl:
            pass
    assert all(torch.equal(a, b) for a, b in zip(kept, copies, strict=True))


def test_pinned_memory_is_asked_for_where_batches_go_to_a_gpu() -> None:
    assert not DeviceStream(None).pins
    assert not DeviceStream(torch.device("cpu")).is_remote


@pytest.mark.parametrize("tfms", [[Saturation(p=1.0), NORMAL], [Hue(p=1.0)], [NORMAL]])
def test_a_picture_that_is_left_out_takes_nothing_from_the_others(
    picture_folder: Path, tfms: list[Any]
) -> None:
    def loader(on_bad: str) -> Any:
        block = DataBlock(
            (ImageBlock, CategoryBlock),
            get_items=get_image_files,
            get_y=parent_label,
            splitter=RandomSplitter(0.3, seed=1),
            item_tfms=Resize(32),
            batch_tfms=tfms,
        )
        return block.dataloaders(
            picture_folder,
            path=picture_folder,
            bs=6,
            num_workers=0,
            device="cpu",
            shuffle=False,
            seed=3,
            on_bad=on_bad,
        ).train

    whole, labels = next(iter(loader("raise")))
    bad = loader("raise").dataset.items[2]
    bad.write_bytes(bad.read_bytes()[:200])
    dl = loader("skip")
    assert type(Pass(dl, 0).route).__name__ == "DirectRoute"
    x, y = next(iter(dl))
    kept = [0, 1, 3, 4, 5]
    torch.testing.assert_close(x.as_subclass(Tensor), whole.as_subclass(Tensor)[kept])
    assert torch.equal(y.as_subclass(Tensor), labels.as_subclass(Tensor)[kept])
