"""Addresses of public data sets for vision, and where their archives are kept here."""

import posixpath
import re
from typing import ClassVar, Literal
from urllib.parse import unquote, urlsplit

from presize.core.errors import DownloadError
from presize.core.paths import Path, archive_dir, data_dir

_S3 = "https://s3.amazonaws.com/fast-ai-"
_SAMPLE = f"{_S3}sample/"
_CLASSES = f"{_S3}imageclas/"
_PLACES = f"{_S3}imagelocal/"
_COCO = f"{_S3}coco/"


class URLs:
    """Data sets to give to `untar_data`; sizes are those of the archives."""

    # Handwritten digits, 28 pixels
    MNIST_SAMPLE: ClassVar = f"{_SAMPLE}mnist_sample.tgz"
    """14,434 threes and sevens; train/ and valid/; 3 MB."""
    MNIST_TINY: ClassVar = f"{_SAMPLE}mnist_tiny.tgz"
    """A tenth of them; 0.3 MB."""
    MNIST_VAR_SIZE_TINY: ClassVar = f"{_CLASSES}mnist_var_size_tiny.tgz"
    """Threes and sevens in varied sizes; 0.6 MB."""
    MNIST: ClassVar = f"{_CLASSES}mnist_png.tgz"
    """All 70,000 digits; training/ and testing/; 16 MB."""

    # Small colour pictures, 32 pixels
    CIFAR: ClassVar = f"{_SAMPLE}cifar10.tgz"
    """60,000 pictures of 10 classes; train/ and test/; 168 MB."""
    CIFAR_100: ClassVar = f"{_CLASSES}cifar100.tgz"
    """60,000 pictures of 100 classes; train/ and test/; 169 MB."""

    # Ten easy classes of ImageNet; train/ and val/. _320 and _160: shorter side in pixels.
    IMAGENETTE: ClassVar = f"{_CLASSES}imagenette2.tgz"
    """13,394 photos in full size; 1.6 GB."""
    IMAGENETTE_320: ClassVar = f"{_CLASSES}imagenette2-320.tgz"
    """342 MB."""
    IMAGENETTE_160: ClassVar = f"{_CLASSES}imagenette2-160.tgz"
    """99 MB."""

    # Ten breeds of dogs, which are harder to tell apart; train/ and val/
    IMAGEWOOF: ClassVar = f"{_CLASSES}imagewoof2.tgz"
    """12,954 photos in full size; 1.3 GB."""
    IMAGEWOOF_320: ClassVar = f"{_CLASSES}imagewoof2-320.tgz"
    """328 MB."""
    IMAGEWOOF_160: ClassVar = f"{_CLASSES}imagewoof2-160.tgz"
    """93 MB."""

    # Both together, most of the training photos without a label
    IMAGEWANG: ClassVar = f"{_CLASSES}imagewang.tgz"
    """2.9 GB."""
    IMAGEWANG_320: ClassVar = f"{_CLASSES}imagewang-320.tgz"
    """670 MB."""
    IMAGEWANG_160: ClassVar = f"{_CLASSES}imagewang-160.tgz"
    """191 MB."""

    # Photos, one class each
    PETS: ClassVar = f"{_CLASSES}oxford-iiit-pet.tgz"
    """7,390 cats and dogs of 37 breeds; images/ and annotations/; 812 MB."""
    DOGS: ClassVar = f"{_SAMPLE}dogscats.tgz"
    """25,000 cats and dogs; 839 MB."""
    FLOWERS: ClassVar = f"{_CLASSES}oxford-102-flowers.tgz"
    """8,189 flowers of 102 kinds; 345 MB."""
    FOOD: ClassVar = f"{_CLASSES}food-101.tgz"
    """101,000 dishes of 101 kinds; 5.7 GB."""
    CARS: ClassVar = f"{_CLASSES}stanford-cars.tgz"
    """16,185 cars of 196 models; 2.0 GB."""
    CUB_200_2011: ClassVar = f"{_CLASSES}CUB_200_2011.tgz"
    """11,788 birds of 200 species; 1.2 GB."""
    CALTECH_101: ClassVar = f"{_CLASSES}caltech_101.tgz"
    """About 9,100 pictures of 101 kinds of objects; 132 MB."""

    # Several classes in one picture
    PASCAL_2007: ClassVar = f"{_PLACES}pascal_2007.tgz"
    """9,963 photos with any of 20 kinds of objects, and their boxes; train.csv; 1.6 GB."""
    PASCAL_2012: ClassVar = f"{_PLACES}pascal_2012.tgz"
    """The same task in 2012; 2.6 GB."""
    PLANET_SAMPLE: ClassVar = f"{_SAMPLE}planet_sample.tgz"
    """The Amazon from space; labels.csv; 16 MB."""
    PLANET_TINY: ClassVar = f"{_SAMPLE}planet_tiny.tgz"
    """A few of them; 1 MB."""
    COCO_SAMPLE: ClassVar = f"{_COCO}coco_sample.tgz"
    """Everyday scenes and their boxes; 3.2 GB."""
    COCO_TINY: ClassVar = f"{_COCO}coco_tiny.tgz"
    """A few of them; 0.8 MB."""

    # Masks and points
    CAMVID: ClassVar = f"{_PLACES}camvid.tgz"
    """701 street scenes, every pixel labelled; 599 MB."""
    CAMVID_TINY: ClassVar = f"{_SAMPLE}camvid_tiny.tgz"
    """Some of them, small; 2.3 MB."""
    BIWI_HEAD_POSE: ClassVar = f"{_PLACES}biwi_head_pose.tgz"
    """15,678 pictures of heads and where their centre is; 452 MB."""
    BIWI_SAMPLE: ClassVar = f"{_SAMPLE}biwi_sample.tgz"
    """A few of them; 0.6 MB."""

    @staticmethod
    def path(url: str, kind: Literal["archive", "data"] = "archive") -> Path:
        """Return where the archive of `url` is kept, or the folder that it is unpacked into."""
        name = archive_name(url)
        return archive_dir() / name if kind == "archive" else data_dir() / data_name(name)


# Lengths of the archives in bytes, as published; a download of another length is refused.
SIZES: dict[str, int] = {
    URLs.BIWI_HEAD_POSE: 452_316_199,
    URLs.BIWI_SAMPLE: 593_774,
    URLs.CALTECH_101: 131_740_031,
    URLs.CAMVID: 598_913_237,
    URLs.CAMVID_TINY: 2_314_212,
    URLs.CARS: 1_957_803_273,
    URLs.CIFAR: 168_168_549,
    URLs.CIFAR_100: 169_168_619,
    URLs.COCO_SAMPLE: 3_245_877_008,
    URLs.COCO_TINY: 801_038,
    URLs.CUB_200_2011: 1_150_585_339,
    URLs.DOGS: 839_285_364,
    URLs.FLOWERS: 345_236_087,
    URLs.FOOD: 5_686_607_260,
    URLs.IMAGENETTE: 1_557_161_267,
    URLs.IMAGENETTE_160: 99_003_388,
    URLs.IMAGENETTE_320: 341_663_724,
    URLs.IMAGEWANG: 2_900_347_689,
    URLs.IMAGEWANG_160: 191_498_213,
    URLs.IMAGEWANG_320: 669_826_647,
    URLs.IMAGEWOOF: 1_343_715_595,
    URLs.IMAGEWOOF_160: 92_612_825,
    URLs.IMAGEWOOF_320: 328_387_740,
    URLs.MNIST: 15_683_414,
    URLs.MNIST_SAMPLE: 3_214_948,
    URLs.MNIST_TINY: 342_207,
    URLs.MNIST_VAR_SIZE_TINY: 565_372,
    URLs.PASCAL_2007: 1_637_796_771,
    URLs.PASCAL_2012: 2_618_908_000,
    URLs.PETS: 811_706_944,
    URLs.PLANET_SAMPLE: 15_523_994,
    URLs.PLANET_TINY: 997_569,
}

_ENDINGS = re.compile(r"(\.tar\.(gz|bz2|xz)|\.tgz|\.tbz2?|\.txz|\.tar|\.zip)$", re.IGNORECASE)


def archive_name(url: str) -> str:
    """Return the file name in a URL or path, without a query; DownloadError if it has none."""
    path = unquote(urlsplit(url).path) if "://" in url else url
    name = posixpath.basename(path.replace("\\", "/"))
    name = re.sub(r'[<>:"|?*\x00-\x1f]', "_", name)  # not allowed in the file names of Windows
    if not data_name(name).strip(". "):
        raise DownloadError(
            f"{url!r} does not end in the name of an archive, such as .../pictures.tgz."
        )
    return name


def data_name(archive: str) -> str:
    """Return the name of an archive without its ending: that of the data set's folder."""
    return _ENDINGS.sub("", archive)
