"""Pictures that cannot be read, on real files that are broken in several ways."""

import collections
import copy
import csv
import itertools
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import presize
from presize.augment.colour import Brightness
from presize.augment.geometry import Flip, Rotate
from presize.callbacks.base import Callback
from presize.core.errors import DataError, ImageError
from presize.core.foundation import noop
from presize.core.randomness import Samples
from presize.data.blocks import CategoryBlock, ImageBlock, MultiCategoryBlock
from presize.data.collated import CollatedRoute
from presize.data.datablock import DataBlock
from presize.data.images import PILImage
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.loader import DataLoader
from presize.data.quarantine import Quarantine
from presize.data.resize import Resize
from presize.data.splits import GrandparentSplitter
from presize.data.streams import DeviceStream
from presize.data.verify import verify_images
from presize.interpret.classification import ClassificationInterpretation
from presize.learner import Learner
from presize.train.metrics import accuracy

CLASSES = ("ash", "elm", "oak")
TRAIN, VALID = 24, 8  # of each class: 96 in all, of which 4 may be bad


def colour(label, number):
    return 60 + 70 * CLASSES.index(label), 8 * number + 4, 128


def classes_seen(x):
    """The classes that pictures are of, by their colour."""
    red = x[:, 0].mean((1, 2)) * 255
    return ((red - 60) / 70).round().long()


def numbers_of(y):
    return y.as_subclass(torch.Tensor)


@pytest.fixture
def trees(tmp_path):
    """Pictures of one colour, which tells their class (red) and number (green)."""
    for split, count in (("train", TRAIN), ("valid", VALID)):
        for label in CLASSES:
            folder = tmp_path / "trees" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                picture = Image.new("RGB", (24, 20), colour(label, number))
                picture.save(folder / f"{number:02d}.jpg", quality=95)
    return tmp_path / "trees"


def cut_short(path):
    os.truncate(path, path.stat().st_size - 150)
    return path


@pytest.fixture
def bad(trees):
    """Two bad pictures of training: one cut short, one empty."""
    (trees / "train/ash/03.jpg").write_bytes(b"")
    return {cut_short(trees / "train/elm/07.jpg"), trees / "train/ash/03.jpg"}


class Count(Callback):
    seen = 0

    def after_batch(self, learn):
        self.seen += len(learn.y)


# With `general`, a function among the transforms, which is no plan: samples are made one by one.
def make(
    folder, *, general=False, block=CategoryBlock, get_y=parent_label, batch_tfms=None, **options
):
    data = DataBlock(
        (ImageBlock, block),
        get_items=get_image_files,
        get_y=get_y,
        splitter=GrandparentSplitter(),
        item_tfms=[Resize(8), noop] if general else Resize(8),
        batch_tfms=batch_tfms,
    )
    given = {"bs": 16, "num_workers": 0, "path": folder.parent, "device": "cpu", "seed": 5}
    return data.dataloaders(folder, **(given | options))


def batches(dl):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(dl)


def together(dl):
    x, y = zip(*batches(dl), strict=True)
    return torch.cat(x), torch.cat(y)


def listed(folder):
    with (folder / "quarantine.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def paths(quarantine):
    return {Path(one.path) for one in quarantine}


def tiny(dls, **options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 3))
    return Learner(dls, model, metrics=accuracy, **options)


# ---- training: another of the class ------------------------------------------------------------


@pytest.mark.parametrize("general", [False, True], ids=["direct", "general"])
def test_another_of_the_class_takes_the_place_of_a_bad_picture(trees, bad, general):
    dls = make(trees, general=general, drop_last=False)
    for _ in range(3):
        x, y = together(dls.train)
        assert len(x) == 3 * TRAIN
        assert torch.equal(classes_seen(x), numbers_of(y))
        assert torch.bincount(y).tolist() == [TRAIN] * 3
    assert paths(dls.quarantine) == bad
    assert {(one.split, one.done) for one in dls.quarantine} == {(0, "replaced")}


@pytest.mark.parametrize("general", [False, True], ids=["direct", "general"])
def test_batches_are_the_same_for_any_number_of_workers(trees, bad, general):
    def epochs(workers):
        dls = make(trees, general=general, num_workers=workers)
        made = [*batches(dls.train), *batches(dls.train), *batches(dls.valid)]
        assert paths(dls.quarantine) == bad
        return made

    expected = epochs(0)
    for workers in (1, 2, 7):
        for one, other in zip(expected, epochs(workers), strict=True):
            assert torch.equal(one[0], other[0])
            assert torch.equal(one[1], other[1])


def test_worker_processes_put_the_same_in_place_and_tell_what_they_met(trees, bad):
    threads = make(trees, general=True)
    processes = make(trees, general=True, processes=True, num_workers=2, drop_last=True)
    cut_short(trees / "valid/oak/00.jpg")
    for one, other in zip(threads, processes, strict=True):
        for expected, found in zip(batches(one), batches(other), strict=True):
            assert torch.equal(expected[0], found[0])
            assert torch.equal(expected[1], found[1])
    assert paths(processes.quarantine) == paths(threads.quarantine) > bad
    assert len(processes.quarantine.left_out(processes.valid)) == 1


def test_what_was_found_before_does_not_change_the_batches(trees, bad):
    once = make(trees)
    batches(once.train)
    second = batches(once.train)
    again = make(trees)  # as after a restart: nothing is known of the first epoch
    again.train.set_epoch(1)
    for one, other in zip(second, batches(again.train), strict=True):
        assert torch.equal(one[0], other[0])


def test_a_stand_in_may_be_bad_itself(trees):
    for number in range(TRAIN - 1):  # one sound picture is left
        (trees / f"train/oak/{number:02d}.jpg").unlink()
        (trees / f"train/oak/{number:02d}.jpg").touch()
    dls = make(trees, drop_last=False)
    dls.quarantine.limit = 0.5
    x, y = together(dls.train)
    assert len(x) == 3 * TRAIN
    # Eight are tried of the class, then any: the target is always that of the picture.
    assert torch.equal(classes_seen(x), numbers_of(y))
    assert len(dls.quarantine) == TRAIN - 1


def test_with_several_labels_all_of_them_count_as_the_class(trees, bad):
    def labels(path):
        return [parent_label(path), "even" if int(path.stem) % 2 == 0 else "odd"]

    dls = make(trees, block=MultiCategoryBlock, get_y=labels, drop_last=False)
    _, y = together(dls.train)
    names = list(dls.vocab)
    count = y.sum(0)
    assert [count[names.index(label)] for label in CLASSES] == [TRAIN] * 3
    assert count[names.index("even")] == count[names.index("odd")]


def test_a_file_that_goes_away_counts_as_bad(trees):
    dls = make(trees)
    (trees / "train/oak/05.jpg").unlink()
    batches(dls.train)
    assert "There is no picture at" in next(iter(dls.quarantine)).reason


@pytest.mark.filterwarnings("ignore:A 16-bit picture")
def test_all_kinds_of_damage_are_found(odd_images_path, tmp_path):
    folder = tmp_path / "odd"
    shutil.copytree(odd_images_path, folder)
    files = sorted(folder.iterdir())
    valid = Path(shutil.copy(folder / "hopper_gray.jpg", tmp_path))
    broken = set(verify_images(files))
    assert len(broken) >= 3
    data = DataBlock(
        (ImageBlock, CategoryBlock),
        get_y=lambda path: path.suffix in (".jpg", ".png"),
        splitter=lambda items: (range(len(items) - 1), [len(items) - 1]),
        item_tfms=Resize(16),
    )
    dls = data.dataloaders([*files, valid], bs=4, num_workers=2, drop_last=False, path=tmp_path)
    dls.quarantine.limit = 1
    x, _ = together(dls.train)
    assert len(x) == len(files)
    assert paths(dls.quarantine) == broken


def test_stand_ins_are_of_those_that_have_a_weight(trees, bad):
    dls = make(trees, drop_last=False)
    items = dls.train_ds.items
    weights = [float(path in bad or path.stem > "20") for path in items]
    x, y = together(dls.train.new(shuffle=False, weights=weights))
    numbers = (x[:, 1].mean((1, 2)) * 255 - 4) / 8
    assert len(x) == 3 * TRAIN
    assert numbers.min() > 20.5
    assert torch.equal(classes_seen(x), numbers_of(y))
    x, y = together(dls.train.new(shuffle=False, weights="balanced"))
    assert len(x) == 3 * TRAIN
    assert torch.equal(classes_seen(x), numbers_of(y))


def test_stand_ins_are_of_the_batch_where_a_sampler_chooses(trees, bad):
    dls = make(trees, bs=11)
    chosen = [i for i, path in enumerate(dls.train_ds.items) if path in bad or path.stem > "20"]
    dl = dls.train
    dl.get_idxs = lambda: chosen
    x, y = together(dl)
    numbers = (x[:, 1].mean((1, 2)) * 255 - 4) / 8
    assert len(x) == len(chosen)
    assert numbers.min() > 20.5
    assert torch.equal(classes_seen(x), numbers_of(y))


def test_data_of_other_kinds_has_any_other_item_in_its_place():
    def read(i):
        if i == 3:
            raise ImageError("This one is bad.")
        return i

    dl = DataLoader(range(40), 8, after_item=read, on_bad="replace", seed=1)
    seen = torch.cat(batches(dl)).tolist()
    assert len(seen) == 40
    assert 3 not in seen
    assert [(one.index, one.path) for one in dl.quarantine] == [(3, None)]
    assert "item 3" in repr(dl.quarantine)


def test_a_single_item_is_left_out_and_a_batch_of_none_is_no_batch():
    def fail(i):
        raise ImageError("This one is bad.")

    dl = DataLoader([0], 1, after_item=fail, on_bad="replace")
    assert batches(dl) == []


# ---- leaving out -------------------------------------------------------------------------------


@pytest.mark.parametrize("general", [False, True], ids=["direct", "general"])
def test_skip_leaves_out_in_training(trees, bad, general):
    dls = make(trees, general=general, on_bad="skip", drop_last=False)
    _, y = together(dls.train)
    assert torch.bincount(y).tolist() == [TRAIN - 1, TRAIN - 1, TRAIN]


@pytest.mark.parametrize("general", [False, True], ids=["direct", "general"])
def test_what_is_left_out_or_replaced_changes_nothing_for_others(trees, bad, general):
    def loaders(on_bad):
        augment = [Flip(), Rotate(p=1), Brightness(p=1)]
        return make(trees, general=general, on_bad=on_bad, drop_last=False, batch_tfms=augment)

    replaced, skipping = loaders("replace"), loaders("skip")
    items = replaced.train_ds.items
    kept = [items[i] not in bad for i in replaced.train.get_idxs()]
    one, other = together(replaced.train), together(skipping.train)
    assert torch.equal(one[0][kept], other[0])
    assert torch.equal(one[1][kept], other[1])


def test_streams_leave_out():
    def stream():
        yield from range(30)

    def read(i):
        if i % 10 == 4:
            raise ImageError("This one is bad.")
        return i

    dl = DataLoader(list(stream()).__iter__(), 8, after_item=read, on_bad="replace", n=30)
    dl.quarantine.limit = 0.2
    assert torch.cat(batches(dl)).tolist() == [i for i in range(30) if i % 10 != 4]
    assert [one.index for one in dl.quarantine] == [4, 14, 24]


def test_a_stream_of_unknown_length_is_judged_by_what_came():
    def read(i):
        if i % 20 == 19:
            raise ImageError("This one is bad.")
        return i

    dl = DataLoader(itertools.count(), 100, after_item=read, on_bad="skip", indexed=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in zip(range(40), dl, strict=False):  # 5 %: just as many as are let pass
            pass
    assert len(dl.quarantine) == 200
    dl.quarantine.limit = 0.04
    with pytest.raises(DataError, match="^20[0-9] pictures cannot be read, and no more than 4% "):
        batches(dl)


def test_a_stream_that_is_walked_through_again_has_no_more_bad_ones():
    class Shuffled:
        def __init__(self):
            self.epoch = 0

        def __iter__(self):
            self.epoch += 1
            yield from ((i + self.epoch) % 100 for i in range(100))

    def read(i):
        if i % 25 == 0:
            raise ImageError("This one is bad.")
        return i

    dl = DataLoader(Shuffled(), 10, after_item=read, on_bad="skip", n=100)
    for _ in range(5):
        assert len(torch.cat(batches(dl))) == 96


def test_samples_of_a_stream_that_have_a_name_are_listed_once():
    Sample = collections.namedtuple("Sample", ["name", "number"])

    def read(sample):
        if sample.number == 3:
            raise ImageError(f"`{sample.name}.jpg` cannot be read: it is empty (0 bytes).")
        return sample.number

    samples = [Sample(f"a.tar/{i}", i) for i in range(30)]
    dl = DataLoader(samples, 10, after_item=read, on_bad="replace", indexed=False)
    for shift in range(4):
        dl.dataset = samples[shift:] + samples[:shift]  # in another order every time
        assert len(torch.cat(batches(dl))) == 29
        dl.set_epoch(shift + 1)
    assert [one.where for one in dl.quarantine] == ["`a.tar/3`"]


def test_validation_leaves_out_so_that_figures_are_those_of_the_rest(trees, tmp_path):
    broken = [cut_short(trees / "valid/elm/02.jpg"), cut_short(trees / "valid/oak/00.jpg")]
    learn = tiny(make(trees))
    with pytest.warns(UserWarning, match="2 pictures could not be read and were left out"):
        found = learn.validate()
    for path in broken:
        path.unlink()
    without = learn.dls.valid.new(make(trees).valid_ds)
    assert list(found) == pytest.approx(list(learn.validate(dl=without)), rel=1e-6)


def test_validate_on_the_training_set_counts_nothing_twice(trees, bad):
    learn = tiny(make(trees))
    count = Count()
    with pytest.warns(UserWarning, match="left out"):
        learn.validate(dl=learn.dls.train.new(shuffle=False, drop_last=False), cbs=count)
    assert count.seen == 3 * TRAIN - 2


# ---- predictions stay in line with items -------------------------------------------------------


@pytest.mark.parametrize("ds_idx", [0, 1])
def test_rows_of_predictions_are_those_of_the_items_that_can_be_read(trees, ds_idx):
    split = ("train", "valid")[ds_idx]
    broken = {cut_short(trees / split / "elm/02.jpg"), cut_short(trees / split / "oak/00.jpg")}
    learn = tiny(make(trees))
    items = learn.dls[ds_idx].dataset.items
    missing = [i for i, path in enumerate(items) if path in broken]
    said = (
        f"2 items could not be read and have no row: item {missing[0]}, `{items[missing[0]]}`; "
        f"item {missing[1]}, `{items[missing[1]]}`. The rows are those of all other items"
    )
    with pytest.warns(UserWarning) as told:
        x, preds, y = learn.get_preds(ds_idx, with_input=True)
    assert any(said in str(one.message) for one in told)
    kept = [path for path in items if path not in broken]
    assert [learn.dls.vocab[int(i)] for i in y] == [parent_label(path) for path in kept]
    assert len(preds) == len(kept)
    green = x[:, 1].mean((1, 2)) * 255
    assert [int(g.round()) // 8 for g in green] == [int(path.stem) for path in kept]


def test_interpretation_speaks_of_the_right_items(trees):
    broken = cut_short(trees / "valid/ash/02.jpg")
    learn = tiny(make(trees))
    items = list(learn.dls.valid_ds.items)
    gone = items.index(broken)
    with pytest.warns(UserWarning) as told:
        interp = ClassificationInterpretation.from_learner(learn)
    assert "1 item could not be read and has no row" in str(told[-1].message)
    assert told[-1].filename == __file__
    assert interp.indices.tolist() == [i for i in range(3 * VALID) if i != gone]
    assert interp.confusion_matrix().sum() == 3 * VALID - 1
    losses, indices = interp.top_losses(5)
    for loss, i in zip(losses, indices.tolist(), strict=True):
        row = interp.indices.tolist().index(i)
        assert interp.losses[row] == loss
        assert learn.dls.vocab[int(interp.targs[row])] == parent_label(items[i])
    figure = interp.plot_top_losses(3 * VALID)
    for axes, i in zip(figure.axes, interp.top_losses()[1].tolist(), strict=False):
        assert items[i].name in axes.get_title()
        shown = np.asarray(axes.images[0].get_array())[4, 4]
        assert np.abs(shown - colour(parent_label(items[i]), int(items[i].stem))).max() <= 4


def test_views_of_tta_have_the_same_rows(trees):
    broken = cut_short(trees / "valid/ash/02.jpg")
    learn = tiny(make(trees))
    with pytest.warns(UserWarning) as told:
        preds, targets = learn.tta(n=2)
    assert [str(one.message).split(":")[0] for one in told] == [
        "1 picture could not be read and was left out",
        "1 item could not be read and has no row",
    ]
    assert f", `{broken}`. " in str(told[1].message)
    assert told[1].filename == __file__
    assert len(preds) == len(targets) == 3 * VALID - 1


def test_rows_that_one_view_lacks_are_in_none(trees):
    learn = tiny(make(trees))
    flaky = trees / "valid/ash/02.jpg"
    sound = flaky.read_bytes()
    learn.dls.valid.before_iter = lambda: flaky.write_bytes(
        sound if flaky.stat().st_size == 0 else b""
    )
    with pytest.warns(UserWarning) as told:
        preds, targets = learn.tta(n=2)
    assert "1 item could not be read and has no row" in str(told[-1].message)
    assert len(preds) == len(targets) == 3 * VALID - 1


# ---- raising -----------------------------------------------------------------------------------


def test_raise_stops_at_the_first(trees, bad):
    dls = make(trees, on_bad="raise")
    assert dls.quarantine is None
    with pytest.raises(ImageError, match=r"(03|07)\.jpg` cannot be read"):
        list(dls.train)
    assert not (trees.parent / "quarantine.csv").exists()


def test_given_files_are_always_raised(trees, bad):
    learn = tiny(make(trees))
    one = next(iter(bad))
    with pytest.raises(ImageError, match=one.name):
        learn.predict(one)
    for labels in (False, True):
        dl = learn.dls.test_dl([trees / "valid/elm/01.jpg", one], with_labels=labels)
        with pytest.raises(ImageError, match=one.name):
            learn.get_preds(dl=dl)


def test_loaders_by_themselves_raise(bad):
    dl = DataLoader(sorted(bad), 2, after_item=PILImage.create)
    with pytest.raises(ImageError, match="cannot be read"):
        list(dl)


def test_errors_of_transforms_are_raised(trees, bad):
    def broken_label(path):
        if broken_label.armed and path.stem == "09":
            raise ZeroDivisionError("by hand")
        return parent_label(path)

    broken_label.armed = False
    dls = make(trees, get_y=broken_label)
    broken_label.armed = True
    with pytest.raises(DataError, match=r"09\.jpg` could not be made .*ZeroDivisionError"):
        batches(dls.train)


def test_on_bad_is_one_of_three():
    with pytest.raises(ValueError, match="on_bad.*'ignore'"):
        DataLoader(range(3), on_bad="ignore")


# ---- too many ----------------------------------------------------------------------------------


def test_more_than_five_in_a_hundred_stop_the_run_with_the_list(trees):
    broken = [cut_short(trees / f"train/oak/{i:02d}.jpg") for i in range(4)]
    batches(make(trees).train)  # 4 of 96 are let pass
    broken.append(cut_short(trees / "valid/oak/00.jpg"))
    dls = make(trees)
    batches(dls.train)
    with pytest.raises(DataError) as stopped:
        batches(dls.valid)
    said = str(stopped.value)
    assert said.startswith("5 pictures of 96 (5.2%) cannot be read, and no more than 5% are let")
    for path in broken:
        assert f"  `{path}`: it is a JPEG picture that is cut short" in said
    assert f"The list is in `{trees.parent / 'quarantine.csv'}`" in said
    assert said.endswith("or let more pass: `dls.quarantine.limit = 0.2`.")
    with pytest.raises(DataError, match="5 pictures of 96"):  # and it stays so
        batches(dls.valid)
    dls.quarantine.limit = 0.2
    assert len(batches(dls.valid)) == 2
    dls.quarantine.limit = 0.05
    dls.quarantine.clear()
    assert len(batches(dls.valid)) == 2
    assert len(dls.quarantine) == 1


def test_one_bad_picture_of_ten_stops_nothing_and_two_do():
    def loader(bad):
        def read(i):
            if i in bad:
                raise ImageError(f"Number {i} is bad.")
            return i

        return DataLoader(range(10), 5, after_item=read, on_bad="replace")

    assert len(batches(loader({4}))) == 2
    with pytest.raises(DataError, match=r"2 pictures of 10 \(20.0%\)"):
        batches(loader({4, 8}))


def test_of_a_long_list_twenty_are_shown():
    def fail(i):
        raise ImageError(f"Number {i} is bad.")

    dl = DataLoader(range(1000), 100, after_item=fail, on_bad="skip")
    with pytest.raises(DataError, match="item 19: Number 19 is bad\n  and 31 more\n"):
        batches(dl)
    assert repr(dl.quarantine).endswith("  and 31 more")


# ---- the list ----------------------------------------------------------------------------------


def test_each_bad_picture_is_listed_and_told_once(trees, bad):
    dls = make(trees, drop_last=False)
    file = trees.parent / "quarantine.csv"
    with pytest.warns(UserWarning) as told:
        for _ in range(3):
            list(dls.train)
    assert [str(one.message) for one in told] == [
        f"2 pictures could not be read and were replaced: see `{file}`."
    ]
    assert told[0].filename == __file__
    rows = listed(trees.parent)
    assert {Path(row["path"]) for row in rows} == bad
    assert {(row["split"], row["done"]) for row in rows} == {("train", "replaced")}
    assert all(dls.train_ds.items[int(row["index"])] == Path(row["path"]) for row in rows)
    cut_short(trees / "valid/oak/00.jpg")
    with pytest.warns(UserWarning, match=r"1 picture could .* was left out \(3 so far\): see"):
        list(dls.valid)
    assert len(listed(trees.parent)) == 3
    assert repr(dls.quarantine).startswith(
        f"Quarantine: 3 of 96 pictures could not be read, see `{file}`\n  `{trees}"
    )
    assert "Replace it or leave it out" not in repr(dls.quarantine)


def test_sound_data_has_no_list(trees):
    dls = make(trees)
    assert len(list(dls.train)) + len(list(dls.valid)) == 6  # and no warning
    assert not (trees.parent / "quarantine.csv").exists()
    assert repr(dls.quarantine) == "Quarantine: all pictures that were asked for could be read"
    assert not dls.quarantine


def test_other_runs_add_to_the_file_what_is_not_in_it(trees, bad):
    batches(make(trees).train)
    cut_short(trees / "train/oak/11.jpg")
    batches(make(trees, drop_last=False).train)
    rows = listed(trees.parent)
    assert len(rows) == len({row["path"] for row in rows}) == 3


def test_the_file_outlives_a_killed_program(trees, bad, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, time\n"
        "from presize.data.folders import ImageDataLoaders\n"
        "from presize.data.resize import Resize\n"
        "dls = ImageDataLoaders.from_folder(sys.argv[1], item_tfms=Resize(8), bs=72,\n"
        "                                   num_workers=2, device='cpu')\n"
        "batches = iter(dls.train)\n"
        "next(batches)\n"
        "print('first', flush=True)\n"
        "time.sleep(60)\n"
    )
    source = Path(presize.__file__).parents[1]
    child = subprocess.Popen(
        [sys.executable, script, trees],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"},
    )
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == b"first\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert {Path(row["path"]) for row in listed(trees)} == bad


def test_where_the_file_cannot_be_written_the_list_is_in_memory(trees, bad):
    blocked = trees.parent / "file"
    blocked.touch()
    dls = make(trees, path=blocked / "below")
    with pytest.warns(
        UserWarning, match=r"see `dls.quarantine` \(`.*quarantine.csv` cannot be written: Not a"
    ):
        list(dls.train)
    assert paths(dls.quarantine) == bad


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_folder_that_is_read_only(trees, bad):
    folder = trees.parent / "locked"
    folder.mkdir(mode=0o500)
    dls = make(trees, path=folder)
    with pytest.warns(UserWarning, match="cannot be written: Permission denied"):
        list(dls.train)
    assert paths(dls.quarantine) == bad


def test_threads_that_find_the_same_list_it_once(trees, bad):
    quarantine = Quarantine(1000, trees.parent)
    dls = make(trees)

    def find(_):
        loader = dls.train.new(on_bad="replace", quarantine=quarantine)
        batches(loader)

    threads = [threading.Thread(target=find, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths(quarantine) == bad
    assert len(listed(trees.parent)) == 2


def test_a_copy_keeps_the_list(trees, bad):
    dls = make(trees)
    batches(dls.train)
    for other in (copy.deepcopy(dls.quarantine), pickle.loads(pickle.dumps(dls.quarantine))):
        assert list(other) == list(dls.quarantine)
        assert other.file == dls.quarantine.file


def test_what_a_process_collects_goes_into_the_list_of_the_parent(trees, bad):
    dls = make(trees)
    child = copy.copy(dls.train)
    child.quarantine = pickle.loads(pickle.dumps(dls.quarantine.for_child()))
    n = len(child.dataset)
    route = CollatedRoute(child, DeviceStream(None))
    made = route.some(Samples(5, 0, range(n)), range(n), [(i, i) for i in range(n)])
    assert len(made) == n
    found = pickle.loads(pickle.dumps(child.quarantine.taken()))
    assert child.quarantine.taken() == []
    dls.quarantine.add(dls.train, found)
    assert paths(dls.quarantine) == bad
    assert len(listed(trees.parent)) == 2


# ---- a whole training --------------------------------------------------------------------------


def test_a_fit_goes_on_over_bad_pictures(trees, bad, capsys):
    cut_short(trees / "valid/oak/00.jpg")
    dls = make(trees, num_workers=2)
    learn = tiny(dls, path=trees.parent)
    with pytest.warns(UserWarning) as told:
        learn.fit_one_cycle(3, 1e-2)
    assert [str(one.message).split(":")[0] for one in told] == [
        "2 pictures could not be read and were replaced",
        "1 picture could not be read and was left out (3 so far)",
    ]
    assert len(learn.recorder.values) == 3
    assert len(learn.recorder.losses) == 3 * (3 * TRAIN // 16)
    assert len(listed(trees.parent)) == 3
    capsys.readouterr()


def test_a_fit_fails_where_that_is_wanted(trees, bad):
    learn = tiny(make(trees, on_bad="raise"))
    with learn.no_logging(), pytest.raises(ImageError, match="cannot be read"):
        learn.fit(1)


def test_batches_can_be_shown_where_the_first_item_is_bad(trees):
    for split in ("train", "valid"):
        cut_short(trees / split / "ash/00.jpg")
    dls = make(trees)
    assert dls.valid_ds.items[0].stem == dls.train_ds.items[0].stem == "00"
    for dl in (dls.train, dls.valid):
        dl.show_batch(max_n=4)
        assert len(dl.decode_batch(dl.one_batch(), 4)) == 4
    counts = collections.Counter(one.part for one in dls.quarantine)
    assert counts["valid"] == 1
