"""Fixtures that the whole suite shares: sample data, small pictures, seeds, a home of its own.

The sample archives are no part of the project. They are looked for in the folder that the
environment variable PRESIZE_TEST_DATA names, else in `shared/data` in the repository or beside
it; a test that needs one is skipped where it is not there.
"""

import atexit
import codecs
import getpass
import importlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

# Before anything imports matplotlib, torch.hub or huggingface_hub: no window is ever opened, and
# no test reads or writes the caches of the person who runs it.
os.environ["MPLBACKEND"] = "Agg"
_home = tempfile.mkdtemp(prefix="presize-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ.update(
    PRESIZE_HOME=f"{_home}/presize", TORCH_HOME=f"{_home}/torch", HF_HOME=f"{_home}/huggingface"
)

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from presize.core.randomness import set_seed  # noqa: E402

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the workers already fill the cores

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Start every test from the same random state, whichever ran before it."""
    set_seed(42)


@pytest.fixture(autouse=True)
def figures_closed() -> Iterator[None]:
    """Close what a test drew: matplotlib warns about many open figures, and warnings are errors."""
    yield
    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        pyplot.close("all")


def _sample_folder(archive: str) -> Path:
    """Return the folder that holds the unpacked `archive`, unpacking it once per machine."""
    named = os.environ.get("PRESIZE_TEST_DATA")
    places = [Path(named)] if named else [ROOT / "shared/data", ROOT.parent / "shared/data"]
    source = next((p / archive for p in places if (p / archive).is_file()), None)
    if source is None:
        looked = " and ".join(str(p) for p in places)
        pytest.skip(
            f"sample data {archive} is not in {looked}; set PRESIZE_TEST_DATA to its folder"
        )
    stat = source.stat()
    store = Path(tempfile.gettempdir()) / f"presize-samples-{getpass.getuser()}"
    store.mkdir(mode=0o700, exist_ok=True)
    folder = store / f"{source.stem}-{stat.st_size}-{int(stat.st_mtime)}"
    if not folder.is_dir():
        # Several workers may come here at once: each unpacks for itself, the first rename wins.
        mine = Path(tempfile.mkdtemp(dir=store))
        with tarfile.open(source) as tar:
            tar.extractall(mine, filter="data")
        try:
            mine.rename(folder)
        except OSError:
            shutil.rmtree(mine)
    return folder


@pytest.fixture(scope="session")
def mnist_path() -> Path:
    """The real 3s and 7s: train/{3,7}, valid/{3,7}, labels.csv."""
    return _sample_folder("mnist_sample.tgz") / "mnist_sample"


@pytest.fixture(scope="session")
def pets_path() -> Path:
    """One flat folder of photos named `Breed_number.jpg`: 37 breeds, 7 photos each."""
    return _sample_folder("pets_sample.tgz") / "pets_sample/images"


@pytest.fixture(scope="session")
def imagenette_path() -> Path:
    """Photos of ten classes: train/<id> and val/<id>."""
    return _sample_folder("imagenette_mini.tgz") / "imagenette_mini"


@pytest.fixture(scope="session")
def odd_images_path() -> Path:
    """A flat folder of odd and broken pictures."""
    return _sample_folder("odd_images.tgz") / "odd_images"


@pytest.fixture(scope="session")
def mobilenet_weights() -> Path:
    """A file of MobileNetV2 weights trained on ImageNet, with torchvision's key names."""
    folder = _sample_folder("weights.tgz") / "weights"
    return folder / "mobilenet_v2_imagenet_torchvision_layout.pth"


@pytest.fixture
def mobilenet_hub(mobilenet_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache that holds those weights under the name that torchvision looks for."""
    checkpoints = tmp_path / "torch_home/hub/checkpoints"
    checkpoints.mkdir(parents=True)
    shutil.copy(mobilenet_weights, checkpoints / "mobilenet_v2-7ebf99e0.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch_home"))
    return checkpoints


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """A folder train/{cat,dog}, valid/{cat,dog} of small JPEGs of many sizes: 12 + 6 a class.

    The classes differ in hue and in the direction of their stripes, so a net can tell them apart.
    """
    rng = np.random.default_rng(7)
    root = tmp_path / "pictures"
    for split, count in (("train", 12), ("valid", 6)):
        for label in ("cat", "dog"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                _stripes(label, rng).save(folder / f"{number}.jpg", quality=90)
    return root


def _stripes(label: str, rng: np.random.Generator) -> Image.Image:
    height, width = (int(n) for n in rng.integers(40, 90, size=2))
    rows, columns = np.mgrid[:height, :width]
    wave = 90 + 60 * np.sin((rows if label == "cat" else columns) * rng.uniform(0.5, 0.9))
    picture = np.repeat(wave[..., None], 3, axis=2)
    picture[..., 0 if label == "cat" else 2] += 60
    noisy = picture + rng.normal(0, 12, picture.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, closed after the module: its event loop must not meet another one."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next(filter(None, map(shutil.which, names)), None)
    with playwright.sync_playwright() as started:
        try:
            opened = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium can be started: {str(error).splitlines()[0]}")
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of a real browser, which must have had no error when the test ends.

    Errors are those of its console and of its scripts, and that it asked for anything but files,
    data URIs, and addresses of this machine's own loopback.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened, faults = context.new_page(), []

    def watch(one: Any) -> None:
        one.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        one.on("pageerror", lambda error: faults.append(f"script error: {error}"))

    def asked(request: Any) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("file", "data", "blob") and url.hostname not in (
            *("127.0.0.1", "localhost", "::1"),
        ):
            faults.append(f"asked the network for {request.url}")

    watch(opened)
    context.on("page", watch)
    context.on("request", asked)
    yield opened
    context.close()
    assert not faults, faults


class Terminal:
    """A terminal that a test looks at: a real pseudo-terminal, and what stands on its screen.

    It keeps all lines that ever were, without an end. Control sequences that it does not know are
    an error, and so is moving above the first line.
    """

    def __init__(self, columns: int = 80) -> None:
        self.columns = columns
        self.rows: list[list[str]] = [[]]
        self._row = self._column = self._marks = self._seen = 0
        self._rest, self._changed = "", threading.Condition()
        self._faults: list[str] = []

    def read(self, master: int) -> None:
        """Draw all that comes until the other side is closed."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:  # Linux tells so that the other side is closed
                data = b""
            with self._changed:
                self.feed(decoder.decode(data))
                self._changed.notify_all()
            if not data:
                return

    def feed(self, text: str) -> None:
        """Draw a text."""
        text, self._rest = self._rest + text, ""
        while text:
            if text[0] == "\x1b":
                found = re.match(r"\x1b\[(\??[\d;]*)([A-Za-z])", text)
                if found is None:
                    self._rest = text
                    return
                self._control(found[1], found[2])
                text = text[found.end() :]
                continue
            if text[0] == "\r":
                self._column = 0
            elif text[0] == "\n":
                self._down()
            else:
                self._put(text[0])
            text = text[1:]

    def lines(self, stream: Any = None) -> list[str]:
        """Return what stands on the screen, without empty lines at its end.

        Args:
            stream: where the program writes: all that is written there is waited for.
        """
        with self._changed:
            if stream is not None:
                self._marks += 1
                stream.write(f"\x1b[{99 + self._marks}m")
                stream.flush()
                assert self._changed.wait_for(lambda: self._seen == self._marks, 10)
            assert not self._faults, self._faults
            text = "\n".join("".join(row).rstrip() for row in self.rows)
        return text.rstrip("\n").split("\n")

    def _control(self, numbers: str, kind: str) -> None:
        if kind == "A":
            self._row -= int(numbers or 1)
            if self._row < 0:
                self._faults.append("moved above the first line")
                self._row = 0
        elif kind == "K" and numbers == "2":
            self.rows[self._row] = []
        elif kind == "m":
            if numbers.isdecimal() and int(numbers) > 99:
                self._seen = int(numbers) - 99
        elif (numbers, kind) not in (("?25", "l"), ("?25", "h")):
            self._faults.append(f"unknown control sequence {numbers}{kind}")

    def _put(self, letter: str) -> None:
        if self._column == self.columns:
            self._column = 0
            self._down()
        row = self.rows[self._row]
        row.extend(" " * (self._column + 1 - len(row)))
        row[self._column] = letter
        self._column += 1

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self.rows):
            self.rows.append([])


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A terminal of 80 columns that is the output and the error stream of this process.

    `lines()` returns what stands on it.
    """
    pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    for name in ("PRESIZE_PLAIN", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    screen = Terminal()
    master, slave = os.openpty()
    reader = threading.Thread(target=screen.read, args=(master,))
    reader.start()
    with open(slave, "w", encoding="utf-8") as stream:  # noqa: PTH123  # it has no path

        def take() -> None:
            monkeypatch.setattr(sys, "stdout", stream)
            monkeypatch.setattr(sys, "stderr", stream)

        yield SimpleNamespace(lines=lambda: screen.lines(stream), stream=stream, take=take)
    reader.join()
    os.close(master)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: Any) -> Iterator[None]:
    """Give a test its terminal, not before pytest has begun to capture the output of the test."""
    if "terminal" in pyfuncitem.funcargs:
        pyfuncitem.funcargs["terminal"].take()
    return (yield)


@pytest.fixture
def run_in_terminal(tmp_path: Path) -> Callable[..., tuple[int, list[str]]]:
    """Run a script in a terminal of its own: (its exit code, what stands there at the end)."""
    pytest.importorskip("pty", reason="there are no pseudo-terminals here")

    def run(source: str, *, interrupt_at: str = "", **streams: Any) -> tuple[int, list[str]]:
        """Run `source`; press Ctrl-C once the text `interrupt_at` stands on the screen."""
        script = tmp_path / "script.py"
        takes = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        script.write_text(takes + textwrap.dedent(source))
        screen, (master, slave) = Terminal(), os.openpty()
        termios = importlib.import_module("termios")  # not on Windows
        termios.tcsetwinsize(slave, (24, 80))
        given = {"stdin": slave, "stdout": slave, "stderr": slave} | streams
        own = {"TERM": "xterm-256color", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
        environment = os.environ | own
        for name in ("PRESIZE_PLAIN", "NO_COLOR", "COLUMNS", "LINES"):
            environment.pop(name, None)
        with subprocess.Popen(
            [sys.executable, str(script)], **given, env=environment, start_new_session=True
        ) as process:
            os.close(slave)
            reader = threading.Thread(target=screen.read, args=(master,))
            reader.start()
            if interrupt_at:
                with screen._changed:
                    assert screen._changed.wait_for(
                        lambda: any(interrupt_at in "".join(row) for row in screen.rows), 60
                    )
                os.write(master, b"\x03")
            code = process.wait(60)
            reader.join()
        os.close(master)
        return code, screen.lines()

    return run
