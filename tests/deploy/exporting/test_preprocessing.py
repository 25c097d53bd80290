import numpy as np
import pytest
import torch
from PIL import Image

from presize.augment.geometry import RandomResizedCropGPU
from presize.augment.presets import Normalize, aug_transforms, imagenet_stats
from presize.core.errors import ExportError
from presize.core.transform import Transform
from presize.data.blocks import CategoryBlock, ImageBlock
from presize.data.crops import CropPad
from presize.data.datablock import DataBlock
from presize.data.images import PILImage, PILImageBW
from presize.data.labels import parent_label
from presize.data.resize import RandomResizedCrop, RatioResize, Resize
from presize.deploy.exporting.preprocessing import Preprocessing

SIDES = [(75, 100), (101, 67), (40, 40), (31, 90), (300, 212)]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """PNG pictures of many sizes: nothing is lost, so that both sides see the same pixels."""
    rng = np.random.default_rng(3)
    files = []
    for i, (height, width) in enumerate(SIDES):
        coarse = rng.integers(0, 256, (height // 3 + 1, width // 3 + 1, 3), dtype=np.uint8)
        file = tmp_path_factory.getbasetemp() / "pictures" / "ab"[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(file)
        files.append(file)
    return files


def loaders(files, item_tfms, batch_tfms, kind=PILImage):
    block = DataBlock(
        (ImageBlock(kind), CategoryBlock),
        get_items=lambda source: source,
        get_y=parent_label,
        splitter=lambda items: (range(2, len(items)), [0, 1]),
        item_tfms=item_tfms,
        batch_tfms=batch_tfms,
    )
    return block.dataloaders(files, bs=1, num_workers=0)


def levels_apart(files, dls, channels=3):
    """How many levels of 255 the module is from what the loader makes, for each value."""
    expected = torch.cat([x for (x,) in dls.test_dl(files, bs=1)])
    module = Preprocessing.of(dls.valid, channels)
    made = [module(torch.from_numpy(np.array(PILImage.create(file)))[None]) for file in files]
    std = module.std[:, None, None]
    return ((torch.cat(made) - expected).abs() * std * 255).round()


NORMAL = Normalize.from_stats(*imagenet_stats)


# Where blocks are averaged in float32, some ties are rounded otherwise by OpenCV.
@pytest.mark.parametrize(
    ("item_tfms", "batch_tfms"),
    [
        (Resize(48), [NORMAL]),
        (Resize(48), [*aug_transforms(size=32), NORMAL]),
        (Resize((30, 50), method="squish"), []),
        (Resize(64, method="pad", pad_mode="zeros"), [NORMAL]),
        (Resize(64, method="pad", pad_mode="zeros"), aug_transforms(size=40)),
        (Resize(64, method="pad"), []),
        (Resize(64, method="pad", pad_mode="border"), []),
        (CropPad(80), [NORMAL]),
        (CropPad(80, pad_mode="reflection"), aug_transforms(size=36)),
        (RandomResizedCrop(40, min_scale=0.9), [NORMAL]),
        (Resize(60), [RandomResizedCropGPU((24, 32), min_scale=0.5, valid_scale=0.8), NORMAL]),
        ([Resize(64), Resize((20, 30), method="squish")], [NORMAL]),
        (Resize(48, resamples=("bilinear", "nearest")), []),
        (Resize(48, resamples=("nearest", "nearest")), []),
    ],
    ids=[
        *("cut", "presized", "squished", "padded black", "padded black, presized"),
        *("mirrored", "edges", "cut out", "cut out, presized", "random crop", "random crop later"),
        *("two cuts", "bilinear", "nearest"),
    ],
)
def test_it_computes_what_the_loader_does(pictures, item_tfms, batch_tfms):
    files = [f for f in pictures if max(PILImage.create(f).size) < 110]
    apart = levels_apart(files, loaders(files, item_tfms, batch_tfms))
    assert apart.max() <= 2
    assert (apart > 0).float().mean() < 0.05


def test_large_pictures_are_averaged_before_they_are_read(pictures):
    dls = loaders(pictures, Resize(32), [NORMAL])
    apart = levels_apart(pictures[-1:], dls)  # 6.6 times larger
    assert apart.max() <= 3
    assert apart.mean() < 0.3


def test_gray_is_made_as_pillow_makes_it(pictures):
    dls = loaders(pictures, Resize(40), [], PILImageBW)
    assert levels_apart(pictures[:3], dls, channels=1).max() <= 1


def test_pictures_of_one_size_need_no_cut():
    files = [Image.fromarray(np.full((28, 20, 3), v, np.uint8)) for v in (0, 100, 255)]
    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_items=lambda s: s,
        get_y=lambda im: str(im.getpixel((0, 0))),
    )
    dls = block.dataloaders([*files, *files], bs=2, num_workers=0)
    with pytest.raises(ExportError, match=r"Give samples="):
        Preprocessing.of(dls.valid, 3)
    module = Preprocessing.of(dls.valid, 3, (28, 20))
    x = torch.stack([torch.from_numpy(np.array(file)) for file in files])
    assert torch.allclose(module(x), x.permute(0, 3, 1, 2).float() / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("item_tfms", "batch_tfms", "what"),
    [
        ([RatioResize(64), Resize(32)], [], "`RatioResize` cannot be put there"),
        ([Resize(64, method="pad"), Resize(32)], [], "only if none of them pads"),
        (Resize(32), [Transform(lambda x: x)], "cannot be put there"),
    ],
    ids=["ratio", "two that pad", "function"],
)
def test_what_the_graph_cannot_do_is_refused(pictures, item_tfms, batch_tfms, what):
    dls = loaders(pictures, item_tfms, batch_tfms)
    with pytest.raises(ExportError, match=f"{what}.*preprocessing=False"):
        Preprocessing.of(dls.valid, 3)
