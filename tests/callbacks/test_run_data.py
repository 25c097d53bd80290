"""The data of a run: what must be the same, and what is only told."""

from functools import partial
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torchvision.transforms import v2

from presize.augment.erase import RandomErasing
from presize.augment.normalize import Normalize
from presize.augment.presets import aug_transforms
from presize.callbacks.run_data import check_data, describe_data
from presize.core.errors import TrainingError
from presize.core.randomness import set_seed
from presize.core.transform import Transform
from presize.data.folders import ImageDataLoaders
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.train.run_state import from_bytes, to_bytes


@pytest.fixture(autouse=True)
def _seeds():
    yield
    set_seed(0)


def check(then, now, seeds=(0, 0)):
    set_seed(seeds[0])
    described = from_bytes(to_bytes(describe_data(SimpleNamespace(dls=then()))))
    set_seed(seeds[1])
    check_data(SimpleNamespace(dls=now()), described, same_world=True)


def of_folder(path, *, size=16, more=(), **options):
    options = {"valid_pct": 0.3, "seed": 1, "item_tfms": Resize(32)} | options
    tfms = [*aug_transforms(size=size), *more]
    return ImageDataLoaders.from_folder(
        path, batch_tfms=tfms, bs=4, num_workers=0, device="cpu", **options
    )


def of_table(path, *, seed=1, frame=None):
    files = sorted(p.relative_to(path).as_posix() for p in path.rglob("*.jpg"))
    table = pd.DataFrame({"file": files, "label": [name.split("/")[0] for name in files]})
    table = table if frame is None else frame(table)
    return ImageDataLoaders.from_df(
        table, path, seed=seed, item_tfms=Resize(32), bs=4, num_workers=0, device="cpu"
    )


def of_tensors(seed=0, after_batch=None):
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(seed))
    pairs = list(zip(x, torch.arange(20) % 2, strict=True))
    loaders = DataLoader(pairs[:15], 5, after_batch=after_batch), DataLoader(pairs[15:], 5)
    return DataLoaders(*loaders, device="cpu")


def halved(batch):
    return [part / 2 for part in batch]


class Scale(Transform):
    """A transform of one's own."""

    def __init__(self, by):
        super().__init__()
        self.by = by


SAME = {
    "folder": of_folder,
    "folder, statistics of a batch": lambda path: of_folder(path, more=[Normalize()]),
    "folder, others' transforms": partial(
        of_folder, item_tfms=[Resize(32), v2.ColorJitter(0.2), lambda x: x]
    ),
    "table": of_table,
}


@pytest.mark.parametrize("case", SAME)
def test_data_that_is_made_again_is_the_same(picture_folder, case):
    check(partial(SAME[case], picture_folder), partial(SAME[case], picture_folder))


def test_data_in_memory_that_is_made_again_is_the_same():
    made = partial(of_tensors, after_batch=[Scale(3), halved, partial(halved)])
    check(made, made)


OTHER = {
    "another size": (
        {"size": 28},
        r"Flip\(size=\[16, 16\]\), and this learner has Flip\(size=\[28",
    ),
    "items of another size": ({"item_tfms": Resize(64)}, r"Resize\(size=\[32, 32\]\), and this"),
    "another transform": ({"item_tfms": [Resize(32), Resize(30)]}, "ToTensor.*has Resize"),
    "one more": ({"more": [RandomErasing()]}, "no more steps.*has RandomErasing"),
    "another seed": ({"seed": 2}, "in another order or split"),
}


@pytest.mark.parametrize("case", OTHER)
def test_other_pictures_and_sizes_are_refused(picture_folder, case):
    change, words = OTHER[case]
    with pytest.raises(TrainingError, match=words):
        check(partial(of_folder, picture_folder), partial(of_folder, picture_folder, **change))


@pytest.mark.parametrize(
    "change",
    [{"seed": 2}, {"frame": lambda table: table.assign(label=table.label.values[::-1])}],
    ids=["split", "labels"],
)
def test_another_table_is_refused(picture_folder, change):
    with pytest.raises(TrainingError, match="in another order or split"):
        check(partial(of_table, picture_folder), partial(of_table, picture_folder, **change))


def test_other_data_in_memory_is_refused():
    with pytest.raises(TrainingError, match="A run goes on only with the data that it began with"):
        check(of_tensors, partial(of_tensors, seed=1))


@pytest.mark.parametrize(
    ("then", "now", "words"),
    [
        (halved, None, "passed through halved, and that of this learner passes through no more"),
        ([Scale(2)], [Scale(3)], r"through Scale\(by=2\), and .* through Scale\(by=3\)"),
    ],
)
def test_other_functions_are_told(then, now, words):
    with pytest.warns(UserWarning, match=words):
        check(partial(of_tensors, after_batch=then), partial(of_tensors, after_batch=now))


def test_so_is_what_was_learned_from_another_batch(picture_folder):
    def made():
        return of_folder(picture_folder, more=[Normalize()])

    with pytest.warns(UserWarning, match=r"passed through Normalize\(mean=.* through Normalize\("):
        check(made, made, seeds=(0, 1))
