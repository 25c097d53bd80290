"""Passes that end early: dropped, failed, interrupted. Nothing of them stays."""

import contextlib
import gc
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc

import psutil
import pytest
import torch

from presize.augment.presets import aug_transforms
from presize.core.errors import DataError
from presize.core.transform import Transform
from presize.data.blocks import CategoryBlock, ImageBlock
from presize.data.datablock import DataBlock
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.loader import DataLoader
from presize.data.resize import Resize
from presize.data.splits import GrandparentSplitter
from presize.tensors import TensorImage


def loader_threads():
    return [t for t in threading.enumerate() if t.name.startswith("presize-loader")]


def pictures(folder, **options):
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        splitter=GrandparentSplitter(),
        get_y=parent_label,
        item_tfms=Resize(64),
        batch_tfms=aug_transforms(size=48),
    )
    return block.dataloaders(folder, bs=6, num_workers=3, device="cpu", **options)


def drop(dl, times):
    for _ in range(times):
        next(iter(dl))


def test_a_hundred_dropped_iterators_leave_no_thread_and_no_memory(picture_folder):
    dl = pictures(picture_folder, cache=False).train
    drop(dl, 20)  # what is made once, such as memory that is used again, is there after these
    gc.collect()
    before = psutil.Process().memory_info().rss
    tracemalloc.start()
    drop(dl, 10)
    held = tracemalloc.get_traced_memory()[0]
    drop(dl, 100)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - held
    tracemalloc.stop()
    assert not loader_threads()
    assert grown < 200_000
    # Each of them had three batches of 0.17 MB under way, and three stacks of threads.
    assert psutil.Process().memory_info().rss - before < 25_000_000


def test_files_stay_closed(picture_folder):
    dl = pictures(picture_folder).train
    drop(dl, 3)
    before = psutil.Process().num_fds() if hasattr(psutil.Process, "num_fds") else 0
    drop(dl, 20)
    assert before == (psutil.Process().num_fds() if before else 0)


class Broken(Transform):
    order = 20  # after ToTensor

    def encodes(self, x: TensorImage):
        return x.reshape(7, -1)


@pytest.mark.parametrize("num_workers", [0, 3])
def test_an_error_in_a_transform_names_path_transform_and_shapes(picture_folder, num_workers):
    dl = pictures(picture_folder).train.new(num_workers=num_workers)
    dl.after_item.add([Broken()])
    with pytest.raises(DataError) as caught:
        list(dl)
    text = str(caught.value)
    assert re.search(r"^Item \d+, `.*\.jpg` could not be made into a sample", text)
    assert "in the transform `Broken`: RuntimeError: shape '[7, -1]' is invalid" in text
    assert "It came in as (PILImage mode=RGB size=" in text
    assert not loader_threads()
    del dl.after_item.fs[-1]
    assert len(list(dl)) == 4  # the loader is as good as before


def test_an_error_in_a_batch_transform_names_the_batch(picture_folder):
    dl = pictures(picture_folder).train
    dl.after_batch.add([Broken()])
    with pytest.raises(DataError, match=r"(?s)^The batch of 6 items .* transform `Broken`.*shape"):
        list(dl)
    assert not loader_threads()


def test_batches_before_an_error_are_handed_out():
    def third(i):
        if i == 11:
            raise ZeroDivisionError
        return i

    got = []
    with pytest.raises(DataError, match="Item 11 could not"):
        for batch in DataLoader(range(40), 4, after_item=third, num_workers=3):
            got += batch.tolist()
    assert got == list(range(8))


def test_dropping_does_not_wait_for_what_takes_long():
    begun, release = threading.Event(), threading.Event()

    def slow(i):
        if i > 3:
            begun.set()
            release.wait(30)
        return i

    running = iter(DataLoader(range(40), 4, after_item=slow, num_workers=2))
    next(running)
    begun.wait(10)
    start = time.perf_counter()
    del running
    assert time.perf_counter() - start < 2
    release.set()
    deadline = time.perf_counter() + 10
    while loader_threads() and time.perf_counter() < deadline:
        time.sleep(0.01)
    assert not loader_threads()  # those that were in the middle have ended by themselves


def test_samples_that_nobody_wants_are_not_made():
    made = []

    def slow(i):
        made.append(i)
        time.sleep(0.02)
        return i

    running = iter(DataLoader(range(64), 32, after_item=slow, num_workers=2))
    next(running)
    del running
    so_far = len(made)
    time.sleep(0.2)
    assert len(made) == so_far < 64


def test_two_iterators_at_once_are_two_epochs(picture_folder):
    dl = pictures(picture_folder, seed=1).train
    one_after_the_other = [list(dl) for _ in range(2)]
    dl.set_epoch(0)
    side_by_side = zip(iter(dl), iter(dl), strict=True)
    for (x, _), (x2, _), (y, _), (y2, _) in zip(
        *one_after_the_other, *zip(*side_by_side, strict=True), strict=True
    ):
        assert torch.equal(x, y) and torch.equal(x2, y2)


def test_threads_of_the_user_may_each_take_a_pass():
    dl = DataLoader(range(200), 10, shuffle=True, seed=3, num_workers=2)
    serial = sorted(str([b.tolist() for b in dl]) for _ in range(6))
    dl.set_epoch(0)
    found, failed = [], []

    def take():
        try:
            found.append(str([b.tolist() for b in dl]))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and sorted(found) == serial and dl.epoch == 6


# ---- Ctrl-C --------------------------------------------------------------------------------------

QUIET = """
    import sys, time
    from presize.vision.all import *

    def nap(x):
        time.sleep({nap})
        return x

    def main():
        block = DataBlock(
            blocks=(ImageBlock, CategoryBlock),
            get_items=get_image_files,
            splitter=GrandparentSplitter(),
            get_y=parent_label,
            item_tfms=[Resize(64), nap] if {nap} else Resize(64),
            batch_tfms=aug_transforms(size=48),
        )
        dls = block.dataloaders(sys.argv[1], bs=4, num_workers=4)
        print("begun", flush=True)
        while True:
            for batch in dls.train:
                {use}

    main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("nap", "use"),
    [(0, "pass"), (0, "time.sleep(0.1)"), (60, "pass")],
    ids=["waiting", "using", "stuck"],
)
def test_an_interrupt_ends_the_program_at_once_and_without_noise(picture_folder, nap, use):
    script = textwrap.dedent(QUIET).format(nap=nap, use=use)
    run = subprocess.Popen(
        [sys.executable, "-c", script, str(picture_folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout.readline() == "begun\n"
    time.sleep(0.5)
    start = time.perf_counter()
    os.kill(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=20)
    # It would take 60 s to wait for the worker that naps; a busy machine may take some to exit.
    assert time.perf_counter() - start < 15
    assert run.returncode == -signal.SIGINT
    assert err.count("Traceback") == 1 and err.rstrip().endswith("KeyboardInterrupt"), err
    assert "Exception ignored" not in err and "Thread" not in err, err


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_while_waiting_leaves_a_loader_that_works():
    dl = DataLoader(range(8), 2, num_workers=2, after_item=lambda i: time.sleep(0.2) or i)
    threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt), contextlib.closing(iter(dl)) as running:
        for _ in running:
            pass
    assert not loader_threads()
    dl.set_epoch(0)
    assert len(list(dl)) == 4
