"""The folder that checkpoints of a run are kept in: numbered files, of which the last few stay."""

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor

from presize.core.errors import ModelFileError
from presize.data.warned import warn_user
from presize.train.state import load_meta, load_state, save_state

KIND = "presize checkpoint"
BEST = "best.safetensors"
EARLIER = "earlier"
_NAME = re.compile(r"checkpoint-(\d{6,})\.safetensors")
_PART = re.compile(r"\.(checkpoint-\d{6,}|best)\.safetensors\.(\d+\.)?part")


class CheckpointFolder:
    """Writes checkpoints one after the other, and finds the newest that can be read.

    Args:
        path: the folder; it is made when the first one is written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @property
    def earlier(self) -> "CheckpointFolder":
        """Where the checkpoints of the run before are until this run has one."""
        return CheckpointFolder(self.path / EARLIER)

    @property
    def begun(self) -> Path:
        """What `begin` writes: a run without it and without checkpoints has come to its end."""
        return self.path / ".begun"

    def begin(self) -> None:
        """Note that a run has begun, which `remove` ends."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.begun.touch()

    def files(self) -> list[Path]:
        """Return the checkpoints, the oldest first."""
        if not self.path.is_dir():
            return []
        found = [p for p in self.path.iterdir() if _NAME.fullmatch(p.name)]
        return sorted(found, key=_number)

    def write(self, tensors: dict[str, Tensor], meta: dict[str, Any], keep: int) -> Path:
        """Write a checkpoint, and then remove all but the last `keep`; returns the file.

        Those of the run before go as well: this run can be gone on with from here on.
        """
        before = self.files()
        number = _number(before[-1]) + 1 if before else 1
        path = self.path / f"checkpoint-{number:06d}.safetensors"
        save_state(path, tensors=tensors, meta={"kind": KIND, **meta})
        for old in [*before, path][:-keep]:
            old.unlink(missing_ok=True)
        self.earlier.remove()
        return path

    def keep_best(self, path: Path) -> Path:
        """Keep a checkpoint under the name of the best one as well; takes no room if it can."""
        best = self.path / BEST
        part = self.path / f".{BEST}.part"
        part.unlink(missing_ok=True)
        try:
            try:
                part.hardlink_to(path)
            except OSError:  # a file system without links
                shutil.copyfile(path, part)
            part.replace(best)
        finally:
            part.unlink(missing_ok=True)
        return best

    def set_aside(self) -> None:
        """Move what is there into `earlier`, in the place of what is there: a new run begins."""
        files = self.files()
        if files:
            self.earlier.remove()
        for path in [*files, self.path / BEST]:
            if path.exists():
                self.earlier.path.mkdir(exist_ok=True)
                path.replace(self.earlier.path / path.name)

    def newest(self) -> tuple[Path, dict[str, Tensor], dict[str, Any]]:
        """Return the newest checkpoint that is whole: its file, tensors and JSON.

        Raises:
            FileNotFoundError: there is none.
            ModelFileError: none of them can be read; says what is wrong with the newest.
        """
        files = self.files()
        if not files:
            raise FileNotFoundError(self._none())
        problem: ModelFileError | None = None
        for path in reversed(files):
            try:
                tensors, meta = load_state(path, way_out="remove it")
                _check_kind(path, meta)
            except ModelFileError as error:
                problem = problem or error
                continue
            except FileNotFoundError:  # the run that writes them is still alive
                continue
            if problem is not None:
                warn_user(f"{problem} The one before is used: {path.name}.")
            return path, tensors, meta
        assert problem is not None
        raise ModelFileError(
            f"None of the {len(files)} checkpoint(s) in {self.path} can be read. Remove them, or "
            "begin a new run: on the command line, leave out --resume. What is wrong with the "
            f"newest: {problem}"
        ) from problem

    def newest_meta(self) -> tuple[Path, dict[str, Any]] | None:
        """Return file and JSON of the newest that seems whole; None if there is none.

        It says nothing of broken ones: whoever reads the whole file does.
        """
        for path in reversed(self.files()):
            with contextlib.suppress(ModelFileError, FileNotFoundError):
                meta = load_meta(path)
                _check_kind(path, meta)
                return path, meta
        return None

    def _none(self) -> str:
        if self.earlier.files():
            return (
                f"There is no checkpoint in {self.path}: a new run began there and wrote none. "
                f"Those of the run before it are in {self.earlier.path}. To go on with that run, "
                f"move them up into {self.path}; else begin the new run again."
            )
        return (
            f"There is no checkpoint in {self.path}. A run writes them if it is told to: "
            "learn.fine_tune(5, cbs=Checkpoints()). Begin the run with that, or give the "
            "folder that it wrote to: learn.resume(folder=...)."
        )

    def tidy(self) -> None:
        """Remove what a run that was killed in mid-writing has left."""
        if self.path.is_dir():
            for path in self.path.iterdir():
                if _PART.fullmatch(path.name):
                    path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all checkpoints, and the folder if nothing else is in it."""
        if not self.path.is_dir():
            return
        self.begun.unlink(missing_ok=True)
        self.earlier.remove()
        self.tidy()
        for path in [*self.files(), self.path / BEST]:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.rmdir()


def _number(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1])


def _check_kind(path: Path, meta: dict[str, Any]) -> None:
    if meta.get("kind") != KIND:
        raise ModelFileError(
            f"{path} is no checkpoint of a run but a {meta.get('kind', 'model file')}. "
            "learn.load(...) reads the weights of a learner, load_learner(...) a model file."
        )
