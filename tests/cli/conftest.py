"""What the tests of the command line share: small pictures, and the command in this process."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from presize.cli import main, results
from presize.learner import Learner

Called = Callable[..., tuple[int, str, str]]


@pytest.fixture
def presize(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Called:
    """Run `presize ARGUMENTS` in this process: its exit code, output and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["presize", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return run


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pictures and the report of a run, two thirds of its time in small runs.

    For what is not about them; test_cli_train.py has them all.
    """
    monkeypatch.setattr("presize.cli.run.show_data", lambda dls, out: results.show_data(dls))
    monkeypatch.setattr("presize.cli.run.show_results", lambda learn, out, seconds: {})
    monkeypatch.setattr(Learner, "report", lambda learn, path, title: path)


@pytest.fixture(scope="session")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder train/{across,down}, valid/{across,down} of small pictures: 12 + 6 a class.

    The session shares it: no test changes it.
    """
    rng, root = np.random.default_rng(3), tmp_path_factory.mktemp("cli") / "stripes"
    waves = 120 + 60 * np.sin(np.arange(40) * 0.7)
    for split, count in (("train", 12), ("valid", 6)):
        for label in ("across", "down"):
            (root / split / label).mkdir(parents=True)
            for number in range(count):
                gray = np.tile(waves, (40, 1)) + rng.normal(0, 15, (40, 40))
                drawn = (gray if label == "down" else gray.T).clip(0, 255).astype(np.uint8)
                picture = Image.fromarray(drawn).convert("RGB")
                picture.save(root / split / label / f"{label}_{split}{number}.jpg")
    return root


# A network that is built and trained in half a second; `--no-auto`, which may choose otherwise in
# another run.
QUICK = ("--arch", "squeezenet1_1", "--weights", "none", "--size", 32, "--bs", 8, "--no-auto")


@pytest.fixture
def quick() -> tuple[object, ...]:
    """Options of a run that takes a second."""
    return (*QUICK, "--epochs", 1)
