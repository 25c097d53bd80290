"""Runs that can be gone on with: what was called, how far it came, and `learn.resume`."""

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path as AnyPath
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor

from presize.callbacks.base import Callback, CancelFit
from presize.callbacks.bottleneck import tell
from presize.callbacks.checkpoint import FOLDER, Checkpoints
from presize.callbacks.lr_finder import LRFinder
from presize.callbacks.run_snapshot import (
    check_data,
    compute_as,
    put_back_own,
    put_back_shared,
    settings_of,
    warn_of_others,
)
from presize.core.collections import L
from presize.core.errors import ModelFileError, TrainingError
from presize.data.warned import warn_user
from presize.train.checkpoint_files import CheckpointFolder
from presize.train.random_state import restore_random_state
from presize.train.run_state import from_bytes, unpack

if TYPE_CHECKING:
    from presize.learner import Learner

P = ParamSpec("P")
R = TypeVar("R")
_RESUMABLE = "_is_resumable"


class Run:
    """What a learner is asked to do, and how far it is: what a checkpoint says of the place.

    Attributes:
        call: the outermost recipe that is running: its name, its arguments, the kinds of its
            callbacks; None between two.
        fits: the number of the fit under way, counted from 0 in this call.
        trained: whether any epoch was begun.
    """

    def __init__(self) -> None:
        self.call: dict[str, Any] | None = None
        self.fits = -1
        self.trained = False
        self._depth = 0
        self._left: _Left | None = None  # where a run was left that is being gone on with

    @property
    def goes_on(self) -> bool:
        """Whether the fit that begins is to go on where a run was left."""
        return self._left is not None

    def passes_over(self) -> bool:
        """Count a fit; say whether it was over when the run was left."""
        self.fits += 1
        return self._left is not None and self.fits < self._left.fit

    def enter_fit(self, learn: "Learner", start_epoch: int) -> int:
        """Return the first epoch of a fit; put back the state of the run if it was left in it."""
        left = self._left
        if left is None or self.fits != left.fit:
            return start_epoch
        left.check(learn)
        left.put_back(learn)
        for cells in learn.recorder.shown:
            learn.logger(cells)
        if not left.over:
            return left.epoch
        self._left = None
        left.release()
        if left.meta.get("ended"):
            raise CancelFit  # a callback ended the fit there
        return left.epoch + 1

    def enter_epoch(self, learn: "Learner") -> int:
        """Return the number of the first batch of an epoch; go on in its middle if need be.

        Called when all callbacks have begun the epoch, which they did before the run was left.
        """
        left, self._left, self.trained = self._left, None, True
        if left is None:
            return 0
        left.put_back(learn)
        left.put_back_order(learn)
        left.release()
        return left.batch

    def go_on(self, left: "_Left") -> None:
        """Let the next call begin where a run was left."""
        self._left, self.trained = left, False

    def forget(self) -> None:
        """Let the next call begin at its beginning."""
        self._left = None

    @contextmanager
    def recorded(
        self, name: str, arguments: dict[str, Any], others: Iterable[Callback] = ()
    ) -> Iterator[None]:
        """Note the call of a recipe, if it is not a part of another one.

        Args:
            name: of the recipe.
            arguments: by name.
            others: the callbacks that the learner has already.
        """
        if self._depth == 0:
            given = L(arguments.get("cbs"))
            kept = {key: value for key, value in arguments.items() if key != "cbs"}
            self.call, self.fits = {"name": name, "arguments": kept}, -1
            self.call["cbs"] = [type(cb).__name__ for cb in given]
            # Before they train: then nothing in them has changed yet.
            self.call["settings"] = settings_of([*others, *given])
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self.call = None


def resumable(
    method: Callable[Concatenate["Learner", P], R],
) -> Callable[Concatenate["Learner", P], R]:
    """Make a recipe, a function of a learner, one that `learn.resume` can go on with.

    Its arguments apart from `cbs` must be such as a checkpoint can hold: numbers, text, slices,
    and lists of them. What it does before a fit that was over is done again, the fit is not.

    Raises:
        TypeError: it has arguments that cannot be given by name.
    """
    signature = inspect.signature(method)
    more = _by_name_only(method.__qualname__, signature)

    @functools.wraps(method)
    def call(learn: "Learner", /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            arguments = dict(list(signature.bind(learn, *args, **kwargs).arguments.items())[1:])
        except TypeError:
            return method(learn, *args, **kwargs)  # which says what is wrong with them
        arguments |= arguments.pop(more, {})
        if arguments.get("cbs") is not None:
            arguments["cbs"] = _made(arguments["cbs"])  # once: it may be a generator
        again: Callable[..., R] = method
        if any(isinstance(cb, LRFinder) for cb in L(arguments.get("cbs"))):
            # lr_find leaves no trace, also where it is called in the middle of a run.
            before, learn.run = learn.run, Run()
            try:
                return again(learn, **arguments)
            finally:
                learn.run = before
        with learn.run.recorded(method.__name__, arguments, learn.cbs):
            return again(learn, **arguments)

    setattr(call, _RESUMABLE, True)
    return call


def resume(
    learn: "Learner",
    cbs: Callback | Iterable[Callback] | None = None,
    folder: str | AnyPath | None = None,
) -> None:
    """Go on with a run that was killed, from its last checkpoint, as if it had not been.

    The learner is made as the one was that began the run. What was called then (`fine_tune`, …)
    is called again with the same arguments, and begins where the checkpoint was written, in the
    middle of an epoch too: weights, losses and table are in the end those of a run that was not
    killed, to the bit on the same kind of device. If the run was complete, its end is loaded.
    Precision, memory layout and compiler become those of the run.

    Args:
        cbs: the callbacks that were given to that call. `Checkpoints` is there in any case.
        folder: where the checkpoints are; None takes that of `Checkpoints`.

    Raises:
        FileNotFoundError: there is no checkpoint.
        ModelFileError: no checkpoint can be read, or they are of another model or optimizer.
        TrainingError: the data or the callbacks are not those of the run.
    """
    given = _made(cbs)
    found = next((cb for cb in [*given, *learn.cbs] if isinstance(cb, Checkpoints)), None)
    if folder is None:
        place = CheckpointFolder(learn.path / FOLDER) if found is None else found.place(learn)
    else:
        place = CheckpointFolder(folder)
    left = _Left(*place.newest(), rank=learn.ranks.number)
    recipe = left.recipe(learn)
    left.check_callbacks(given)
    keeper = found or Checkpoints(**left.meta["checkpoints"])
    if found is None:
        given.append(keeper)
    if found is None or folder is not None:
        keeper.folder = place.path
    keeper.last = left.path
    if learn.ranks.is_main:
        tell(learn, left.told())
    # What `learn.auto()` chooses hangs on the moment, and may be something else now.
    changed = compute_as(learn, left.meta)
    if changed and learn.ranks.is_main:
        tell(learn, f"The run was begun with {changed}, and goes on so; this learner had others.")
    learn.run.go_on(left)
    try:
        with learn.added_cbs([_OrderDrawn(left)]):
            recipe(learn, **left.call["arguments"], cbs=given)
    finally:
        learn.run.forget()
    if not learn.run.trained and learn.ranks.is_main:
        tell(learn, "The run was complete: nothing was left to train, and its end is loaded.")


class _Left:
    """Where a run was left.

    Args:
        path: the checkpoint.
        tensors: of the checkpoint.
        meta: likewise.
        rank: which of the processes that train together this is.
    """

    def __init__(
        self, path: AnyPath, tensors: dict[str, Tensor], meta: dict[str, Any], *, rank: int
    ) -> None:
        self.path, self.meta, self._tensors, self._rank = path, meta, tensors, rank
        try:
            run = unpack(meta["run"], tensors)
            self.call: dict[str, Any] = run["call"]
            self.fit: int = meta["fit"]
            self.epoch: int = meta["epoch"]
            self.over: bool = meta["over"]
            self.batch: int = meta["batch"]
            self._own: dict[str, Any] = run["own"]
            if rank and f"rank.{rank}" in tensors:
                self._own = from_bytes(tensors[f"rank.{rank}"])
        except KeyError as error:
            raise ModelFileError(
                f"{path} is a checkpoint without {error}: it was changed, or another version of "
                "presize wrote it. Remove it to go on from the one before."
            ) from None
        self.late: dict[str, Any] | None = None  # random states for when the order is drawn

    def recipe(self, learn: "Learner") -> Callable[..., Any]:
        """Return what was called; only what is marked as a recipe can be."""
        name = self.call["name"]
        found: Any = getattr(type(learn), name, None) if isinstance(name, str) else None
        if not getattr(found, _RESUMABLE, False):
            kind = type(learn).__name__
            if any(
                getattr(vars(base).get(str(name)), _RESUMABLE, False)
                for base in type(learn).__mro__
            ):
                raise ModelFileError(
                    f"The checkpoint {self.path} is of a run of `{name}`, and {kind} has one of "
                    "its own, which is not marked as a recipe. Put @resumable (from "
                    f"presize.resuming) before `def {name}`, and resume again."
                )
            raise ModelFileError(
                f"The checkpoint {self.path} is of a run of `{name}`, and this "
                f"{kind} has no such recipe. Make the learner as it was made then."
            )
        recipe: Callable[..., Any] = found
        return recipe

    def check_callbacks(self, given: list[Callback]) -> None:
        """Ask for the callbacks of the call, which a file cannot hold.

        Raises:
            TrainingError: some are missing.
        """
        needed = Counter(name for name in self.call["cbs"] if name != Checkpoints.__name__)
        missing = needed - Counter(type(cb).__name__ for cb in given)
        if missing:
            names = ", ".join(missing.elements())
            raise TrainingError(
                f"The run was begun as learn.{self.call['name']}(…, cbs=[{names}]), and a "
                "checkpoint holds no code: make such callbacks again, and give them, "
                f"learn.resume(cbs=[{names.replace(',', '(…),')}(…)])."
            )

    def told(self) -> str:
        """Return in one line where the run goes on."""
        total, name = self.meta["n_epoch"], self.call["name"]
        fit = f", fit {self.fit + 1}" if self.fit else ""
        place = "after" if self.over else f"at batch {self.batch} of"
        place = f"{place} epoch {self.epoch}"
        return f"Going on with {name}{fit}: {place} of {total} ({self.path.name})."

    def check(self, learn: "Learner") -> None:
        """Refuse other data; warn of other callbacks, and of another number of processes.

        Raises:
            TrainingError: the data is not that of the run.
        """
        then, now = self.meta["world"], learn.ranks.world
        check_data(learn, self.meta["data"], same_world=then == now)
        warn_of_others(learn, self._own, self.call)
        if then == now:
            return
        warn_user(
            f"The run was one of {then} process(es) and goes on with {now}: the batches are "
            "others, and the result will not be that of the run that was not killed."
        )
        if not self.over:  # at the item where it was
            self.batch = min(self.meta["batch"] * then // now, len(learn.dls.train))
            self._own["train"] = self._own["train"] | {"batch": self.batch}

    def put_back(self, learn: "Learner") -> None:
        """Make the state of a learner that of the run."""
        put_back_shared(learn, self._tensors, self.meta)
        put_back_own(learn, self._own)

    def release(self) -> None:
        """Let go of what was put back: as much memory as the model and its optimizer take."""
        self._tensors, self._own = {}, {}

    def put_back_order(self, learn: "Learner") -> None:
        """Let a sampler that draws from PyTorch's random numbers draw those of this epoch."""
        state = self._own["callbacks"].get("Checkpoints", {}).get("pass")
        if state is None:
            return
        generator = getattr(getattr(learn.dl, "sampler", None), "generator", None)
        if isinstance(generator, torch.Generator) and "sampler" in state:
            generator.set_state(state["sampler"].cpu())
        restore_random_state(state, learn.place)
        self.late = self._own["random"]


class _OrderDrawn(Callback):
    """Puts back the random states of the place when the order of the epoch was drawn."""

    order = -1e9
    run_valid = False

    def __init__(self, left: _Left) -> None:
        self.left: _Left | None = left

    def before_batch(self, learn: "Learner") -> None:
        """Do it before anything is drawn for the batch."""
        self.after_train(learn)

    def after_train(self, learn: "Learner") -> None:
        """Do it here if there was no batch left."""
        if self.left is not None:
            if self.left.late is not None:
                restore_random_state(self.left.late, learn.place)
            self.left = None


def _by_name_only(owner: str, signature: inspect.Signature) -> str:
    """Return the name of the argument that takes all other ones, `kwargs`; "" if there is none.

    Raises:
        TypeError: some cannot be given by name, as they are when a run is gone on with.
    """
    parameters = list(signature.parameters.values())[1:]
    for one in parameters:
        if one.kind in (one.VAR_POSITIONAL, one.POSITIONAL_ONLY):
            raise TypeError(
                f"@resumable calls `{owner}` again by the names of its arguments, but `{one}` has "
                f"none to be given by. Write them out: def {owner.rpartition('.')[2]}(self, "
                "n_epoch, cbs=None, **kwargs)."
            )
    return next((one.name for one in parameters if one.kind is one.VAR_KEYWORD), "")


def _made(cbs: Any) -> list[Callback]:
    """Return callbacks as a list; classes are called."""
    return [cb() if isinstance(cb, type) else cb for cb in L(cbs)]
