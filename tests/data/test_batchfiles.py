from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from presize.data.batchfiles import files_of_batch
from presize.data.folders import ImageDataLoaders
from presize.data.loader import DataLoader
from presize.data.resize import Resize


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twelve pictures, each of its own grey, so that a batch tells which files are in it."""
    root = tmp_path_factory.mktemp("grey")
    for i in range(12):
        folder = root / ("even" if i % 2 == 0 else "odd")
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (i * 20,) * 3).save(folder / f"{i * 20}.png")
    return root


def greys(batch):
    return [round(float(x.mean()) * 255) for x in batch[0]]


def greys_of_files(dl, epoch, batch):
    return [int(Path(name).stem) for name in files_of_batch(dl, epoch, batch)]


@pytest.mark.parametrize(
    "options", [{}, {"shuffle": False}, {"weights": "balanced"}, {"sampler": [3, 1, 1, 0, 2, 7]}]
)
def test_they_are_those_of_the_batches_that_were_made(pictures, options):
    dls = ImageDataLoaders.from_folder(
        pictures, valid_pct=0.2, seed=1, item_tfms=Resize(8), bs=4, num_workers=2, device="cpu",
        drop_last=False, **options,
    )  # fmt: skip
    for _ in range(2):
        epoch = dls.train.epoch
        seen = [greys(batch) for batch in dls.train]
        assert len(seen) > 1 and epoch < dls.train.epoch
        assert [greys_of_files(dls.train, epoch, i) for i in range(len(seen))] == seen
    assert dls.train.epoch == 2, "asking begins no pass"
    assert greys_of_files(dls.valid, 0, 0) == greys(next(iter(dls.valid)))


def test_rows_of_a_table_are_named_as_their_file(pictures):
    files = sorted(str(p.relative_to(pictures)) for p in pictures.rglob("*.png"))
    table = pd.DataFrame({"file": files, "label": [f.split("/")[0] for f in files]})
    dls = ImageDataLoaders.from_df(
        table, pictures, seed=1, item_tfms=Resize(8), bs=4, num_workers=0, device="cpu"
    )
    batch = next(iter(dls.train))
    assert greys_of_files(dls.train, 0, 0) == greys(batch)
    assert all(Path(name).is_file() for name in files_of_batch(dls.train, 0, 0))


def test_where_nobody_can_know_there_are_none(pictures):
    class Own(DataLoader):
        def get_idxs(self):
            raise AssertionError("it may draw anew each time it is asked")

    paths = sorted(pictures.rglob("*.png"))
    assert files_of_batch(DataLoader(paths, 4), 0, 0) == [str(p) for p in paths[:4]]
    assert files_of_batch(Own(paths, 4), 0, 0) == []
    assert files_of_batch(DataLoader(paths, 4, sampler=iter_anew(12)), 0, 0) == []
    assert files_of_batch(DataLoader(list(range(8)), 4), 0, 0) == []
    assert files_of_batch([1, 2, 3], 0, 0) == []
    assert files_of_batch(DataLoader(paths, 4), 0, 9) == []


class iter_anew:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        raise AssertionError("it may draw anew each time it is asked")

    def __len__(self):
        return self.n
