import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest
import torch

from presize.core.errors import DataError, ImageError
from presize.core.transform import Transform
from presize.data.blocks import CategoryBlock, ImageBlock
from presize.data.datablock import DataBlock
from presize.data.items import get_image_files
from presize.data.labels import parent_label
from presize.data.loader import DataLoader
from presize.data.loaders import TfmdDL
from presize.data.processes import FromWorker, shared_pool
from presize.data.resize import Resize
from presize.tensors import TensorImage

# What the worker processes import. Starting one takes seconds: they stay for all of these tests.
MODULE = """
import os, time
import torch
from presize.core.errors import ImageError
from presize.core.randomness import draws
from presize.core.transform import RandTransform
from presize.tensors import TensorImage

class Drawn(RandTransform):
    scale = 1.0

    def encodes(self, x: TensorImage):
        return x + self.scale * float(draws(self.draw_name).uniform()[0])

def picture(i):
    return TensorImage(torch.full((3, 4, 5), float(i)))

def pid(sample):
    return os.getpid()

def fail_at_six(x):
    if x == 6:
        raise ZeroDivisionError("six")
    return x

def unreadable_six(i):
    if i == 6:
        raise ImageError("The picture `six.jpg` cannot be read: it is empty.", None)
    return float(i)

def lock(i):
    import threading
    return threading.Lock()

def nap(i):
    if "NAPS" in os.environ:
        open(os.path.join(os.environ["NAPS"], f"{os.getpid()}.nap"), "w").close()
    time.sleep(30)
    return i
"""


@pytest.fixture(scope="module", autouse=True)
def work(tmp_path_factory):
    """The module of transforms, and processes that stay over all tests."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "presize_test_work.py").write_text(MODULE)
    sys.path.insert(0, str(folder))
    import presize_test_work as module

    keeper = shared_pool()
    yield module
    keeper.close()
    sys.path.remove(str(folder))


def children():
    return [p for p in psutil.Process().children() if "multiprocessing.spawn" in str(p.cmdline())]


def test_batches_are_the_same_to_the_bit(work):
    def epochs(**options):
        dl = DataLoader(
            [(work.picture(i), i, f"n{i}") for i in range(20)],
            6,
            shuffle=True,
            seed=3,
            after_item=[work.Drawn],
            after_batch=lambda b: b[::-1],  # stays in the program
            **options,
        )
        return [list(dl) for _ in range(2)]

    for ours, theirs in zip(epochs(), epochs(num_workers=2, processes=True, bs=None), strict=True):
        for (names, i, x), (names2, i2, x2) in zip(ours, theirs, strict=True):
            assert type(x2) is type(x) is TensorImage and type(i2) is type(i)
            assert torch.equal(x.as_subclass(torch.Tensor), x2.as_subclass(torch.Tensor))
            assert torch.equal(i, i2) and names == names2


def test_each_thread_has_a_process_of_its_own_and_they_stay(work):
    dl = DataLoader(range(64), 4, num_workers=2, processes=True, after_item=work.pid)
    seen = {int(p) for _ in range(2) for batch in dl for p in batch}
    assert os.getpid() not in seen
    assert seen <= {p.pid for p in children()}
    assert len(children()) <= 2


def test_what_is_only_looked_at_starts_no_process(work):
    dl = DataLoader(range(8), 4, num_workers=2, processes=True, after_item=work.pid)
    assert dl.one_batch().tolist() == dl.batch_of([1, 2, 3, 4]).tolist() == [os.getpid()] * 4
    assert set(torch.cat(list(dl.new(num_workers=0))).tolist()) == {os.getpid()}


def test_changes_between_two_passes_reach_the_processes(work):
    shift = work.Drawn()
    images = [work.picture(0)] * 4
    dl = DataLoader(images, 4, num_workers=1, processes=True, after_item=[shift], split_idx=1)
    threads = dl.new(processes=False)
    before = next(iter(dl))
    assert torch.equal(before, next(iter(threads)))
    shift.scale = 5.0
    after = next(iter(dl))
    assert torch.equal(after, next(iter(threads)))
    assert not torch.equal(after, before)


def test_errors_are_told_as_by_threads(work):
    def caught(**options):
        dl = TfmdDL(range(8), 4, after_item=[work.fail_at_six], **options)
        with pytest.raises(DataError) as found:
            list(dl)
        return found.value

    theirs = caught(num_workers=1, processes=True)
    assert str(theirs) == str(caught())
    assert "Item 6 could not be made into a sample in the transform `fail_at_six`" in str(theirs)
    assert isinstance(theirs.__cause__, FromWorker)
    assert "presize_test_work.py" in str(theirs.__cause__)
    # The process is there for the next pass.
    pids = {p.pid for p in children()}
    dl = DataLoader(range(8), 4, num_workers=1, processes=True, after_item=work.pid)
    assert {int(p) for batch in dl for p in batch} <= pids


def test_bad_pictures_are_listed_in_the_program(work):
    def made(**options):
        dl = DataLoader(
            range(40),
            5,
            shuffle=True,
            seed=1,
            on_bad="skip",
            after_item=work.unreadable_six,
            **options,
        )
        with pytest.warns(UserWarning, match="1 picture could not be read and was left out"):
            batches = [batch.tolist() for batch in dl]
        return batches, [(bad.index, bad.reason) for bad in dl.quarantine], dl

    here, there = made(), made(num_workers=1, processes=True)
    assert there[:2] == here[:2]
    assert sum(map(len, there[0])) == 39 and there[1][0][0] == 6
    assert there[2].state_dict()["epoch"] == 1
    with pytest.raises(ImageError, match="six.jpg"):
        list(DataLoader([6], 1, num_workers=1, processes=True, after_item=work.unreadable_six))


def test_samples_that_cannot_come_back_are_named(work):
    dl = DataLoader(range(2), 2, num_workers=1, processes=True, after_item=work.lock)
    with pytest.raises(DataError, match=r"A sample, .*lock.*, cannot be sent back by a worker"):
        list(dl)


def test_what_the_processes_cannot_import_is_told(work):
    made = type("Ghost", (Transform,), {"encodes": work.fail_at_six, "__module__": "__main__"})
    sys.modules["__main__"].Ghost = made  # as a class that is defined in a notebook
    try:
        dl = DataLoader(range(2), 2, num_workers=1, processes=True, after_item=[made])
        for _ in range(2):
            with pytest.raises(DataError, match=r"(?s)cannot find what .*Ghost.*not in a notebook"):
                list(dl)
    finally:
        del sys.modules["__main__"].Ghost


def test_a_process_that_is_killed_is_told_and_replaced(work):
    dl = DataLoader(range(8), 4, num_workers=1, processes=True, after_item=work.nap)
    with contextlib.closing(iter(dl)) as running, pytest.raises(DataError) as caught:
        for child in children():
            child.kill()
        next(running)
    assert "A worker process was ended by signal 9, perhaps because memory ran out" in str(
        caught.value
    )
    assert len(list(dl.new(after_item=work.pid))) == 2


def test_dropping_an_iterator_does_not_wait_for_a_slow_transform(work):
    dl = DataLoader(range(8), 4, num_workers=2, processes=True, after_item=work.nap)
    running = iter(dl)
    dl.timeout = 0.01
    with pytest.raises(TimeoutError):
        next(running)
    start = time.perf_counter()
    del running
    assert time.perf_counter() - start < 2


def test_the_processes_end_with_the_last_loader_that_wants_them(work):
    shared_pool().close()
    assert children() == []
    dl = DataLoader(range(8), 4, num_workers=1, processes=True, after_item=work.pid)
    list(dl)
    assert len(children()) == 1
    dl.close()
    assert children() == []


def test_loaders_that_are_gone_leave_no_processes(tmp_path, work):
    script = """
        import gc, psutil
        from presize.data.loader import DataLoader
        from presize_test_work import pid

        if __name__ == "__main__":
            dl = DataLoader(range(8), 4, num_workers=1, processes=True, after_item=pid)
            other = dl.new()
            list(dl)
            del dl
            print(len(psutil.Process().children(recursive=True)) > 0)
            list(other)
            del other
            gc.collect()
            left = [str(p.cmdline()) for p in psutil.Process().children()]
            print(any("spawn_main" in command for command in left))
    """
    run = started(tmp_path, script)
    out, err = run.communicate(timeout=60)
    assert (out.split(), err) == (["True", "False"], "")


def started(folder, script, **options):
    file = folder / "script.py"
    file.write_text(textwrap.dedent(script))
    return subprocess.Popen(
        [sys.executable, str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "NAPS": str(folder),
        },
        **options,
    )


def test_a_script_without_a_guard_is_told_so(tmp_path, work):
    run = started(
        tmp_path,
        """
        from presize.data.loader import DataLoader
        from presize_test_work import pid
        list(DataLoader(range(8), 4, num_workers=2, processes=True, after_item=pid))
        """,
    )
    _, err = run.communicate(timeout=60)
    assert run.returncode == 1
    assert 'if __name__ == "__main__":' in err
    assert err.count("Traceback") == 1, err  # of the program; the processes say nothing


NAPPING = """
    import glob, os, psutil, threading, time
    from presize.data.loader import DataLoader
    from presize_test_work import nap

    def tell():
        while len(glob.glob(os.environ["NAPS"] + "/*.nap")) < 2:
            time.sleep(0.05)
        print(*(p.pid for p in psutil.Process().children()), flush=True)

    if __name__ == "__main__":
        threading.Thread(target=tell, daemon=True).start()
        list(DataLoader(range(8), 2, num_workers=2, processes=True, after_item=nap))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_program(tmp_path, work, end):
    run = started(tmp_path, NAPPING, start_new_session=True)
    pids = list(map(int, run.stdout.readline().split()))
    assert len(pids) >= 2
    start = time.perf_counter()
    if end == signal.SIGINT:
        os.killpg(run.pid, end)  # as a terminal does, which tells all processes
    else:
        run.kill()
    _, err = run.communicate(timeout=20)
    assert time.perf_counter() - start < 3
    while any(map(psutil.pid_exists, pids)) and time.perf_counter() - start < 5:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, pids))
    if end == signal.SIGINT:
        assert err.count("Traceback") == 1 and err.rstrip().endswith("KeyboardInterrupt"), err


def test_pictures_that_are_only_cut_are_left_to_threads(picture_folder):
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        get_y=parent_label,
        item_tfms=Resize(32),
    )
    with pytest.warns(UserWarning, match="processes=True is not used: pictures that item"):
        dls = block.dataloaders(picture_folder, bs=8, num_workers=2, processes=True)
    before = len(children())
    assert len(list(dls.train)) == 3
    assert len(children()) == before
