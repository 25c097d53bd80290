import re

import pytest

from presize.core.errors import DownloadError
from presize.core.paths import archive_dir, data_dir
from presize.data.urls import SIZES, URLs, archive_name, data_name

NAMES = sorted(name for name in vars(URLs) if name.isupper())


def test_the_data_sets_of_the_field_are_there():
    assert URLs.MNIST_SAMPLE == "https://s3.amazonaws.com/fast-ai-sample/mnist_sample.tgz"
    assert URLs.PETS == "https://s3.amazonaws.com/fast-ai-imageclas/oxford-iiit-pet.tgz"
    assert URLs.PASCAL_2007 == "https://s3.amazonaws.com/fast-ai-imagelocal/pascal_2007.tgz"
    wanted = "MNIST MNIST_TINY CIFAR IMAGENETTE IMAGENETTE_160 IMAGENETTE_320 IMAGEWOOF CAMVID_TINY"
    assert set(wanted.split()) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_has_an_https_address_and_a_known_size(name):
    url = getattr(URLs, name)
    assert re.fullmatch(r"https://s3\.amazonaws\.com/fast-ai-[a-z]+/[\w-]+\.tgz", url)
    assert SIZES[url] > 1000


def test_no_two_data_sets_share_a_folder():
    folders = [URLs.path(getattr(URLs, name), "data") for name in NAMES]
    assert len(set(folders)) == len(NAMES) == len(SIZES)


def test_path_says_where_things_are_kept():
    assert URLs.path(URLs.MNIST_SAMPLE) == archive_dir() / "mnist_sample.tgz"
    assert URLs.path(URLs.MNIST_SAMPLE, "data") == data_dir() / "mnist_sample"


@pytest.mark.parametrize(
    ("url", "archive", "folder"),
    [
        ("https://x.org/a/pets.tgz", "pets.tgz", "pets"),
        ("https://x.org/pets.tar.gz?download=1#top", "pets.tar.gz", "pets"),
        ("https://x.org/my%20pets.zip", "my pets.zip", "my pets"),
        ("https://x.org/a%2F..%2Fpets.zip", "pets.zip", "pets"),
        ("https://x.org/v1.2.TAR.XZ", "v1.2.TAR.XZ", "v1.2"),
        ("https://x.org/files/1234", "1234", "1234"),
        ("https://x.org/a:b|c.tgz", "a_b_c.tgz", "a_b_c"),
        ("/data/pets.tbz2", "pets.tbz2", "pets"),
        ("C:\\data\\pets.zip", "pets.zip", "pets"),
    ],
)
def test_names(url, archive, folder):
    assert archive_name(url) == archive
    assert data_name(archive) == folder


@pytest.mark.parametrize("url", ["https://x.org", "https://x.org/a/", "https://x.org/..", "x/.tgz"])
def test_a_url_without_a_file_name_says_so(url):
    with pytest.raises(DownloadError, match="does not end in the name of an archive"):
        archive_name(url)
