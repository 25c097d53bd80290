"""Finds what is fastest on this device, and how large a batch may be. Methods of the learner."""

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from presize.callbacks.lr_finder import no_trace
from presize.core.allocator import memory_kept
from presize.core.errors import TrainingError
from presize.data.caching.memory import available_memory
from presize.models.small_maps import small_maps
from presize.train.distributed import from_first
from presize.train.measuring import Measurement, switch_to
from presize.train.memory_need import largest, trained_bytes
from presize.train.precision import Precision
from presize.train.switches import AutoReport, Switches, candidates, fastest

if TYPE_CHECKING:
    from presize.learner import Learner

# To compile takes about a minute and may save a fifth of a step: what training has to take to pay.
_PAYS_AFTER = 300.0


def auto(
    learn: "Learner",
    steps: int = 5,
    *,
    epochs: int = 10,
    compile: bool | None = None,
    verbose: bool = True,
) -> AutoReport:
    """Measure a few training steps in all ways that make sense here, and switch on the fastest.

    Tried are, each with and without channels_last: fp32 and bf16; on CUDA tf32 and fp16 as well,
    and the best of them compiled. A way is taken if it is clearly faster than plain fp32, beyond
    the noise and by 3 % at least, 10 % if it rounds more, and if its loss is finite and near that
    of fp32. All layers are trained in these steps, on one batch of the training data, or on a part
    of it if a CPU would take long. Sets `precision`, `channels_last` and `compile`; all else is
    left as it was.

    Args:
        steps: how many times each way is measured, in turns.
        epochs: about how many the training will have: to compile takes a minute, and is tried
            only where the training takes more than five.
        compile: True tries it anyway, False never.
        verbose: print what was measured and chosen.

    Raises:
        ValueError: fewer than one step or epoch.
        TrainingError: there is no batch, or the plain way gives no finite loss.
    """
    if steps < 1 or epochs < 1:
        raise ValueError(
            f"auto measures 1 step or more for 1 epoch or more, but got steps={steps}, "
            f"epochs={epochs}."
        )
    learn.place_model()
    before = Switches(learn.precision.kind, learn.channels_last, learn.compile)
    precision, chosen = learn.precision, before
    try:
        with _measuring(learn) as trial:
            trial.compare(candidates(learn.device), steps)
            chosen = _agreed(learn, trial)
            note = _why_not_compiled(learn, trial, chosen, epochs, compile)
            if not note:
                trial.compare([replace(chosen, compile=True)], steps)
                chosen = _agreed(learn, trial)
    finally:
        switch_to(learn, chosen)
        same = chosen.precision == before.precision
        learn.precision = precision if same else Precision(chosen.precision)
    report = AutoReport(chosen, tuple(trial.trials), _in_words(learn.device), trial.items, note)
    if verbose and learn.ranks.is_main:
        print(report)
    return report


def find_batch_size(learn: "Learner", start: int = 8, max: int | None = None) -> int:
    """Return the largest batch that can be trained in the memory that is free, to a sixteenth.

    With an accelerator sizes are tried: doubled until memory runs out, then halved between. The
    rest of a sixteenth is left to what else needs memory, such as augmentation on the device. On a
    CPU, where a program that takes too much is ended by the system, the size comes from what a few
    items need, and from four fifths of the memory that is available now. Nothing is changed.

    Args:
        start: the first size that is tried.
        max: the last one; None takes the number of training items.

    Raises:
        ValueError: `start` or `max` is less than 1.
        TrainingError: there is no batch, or not even a single item fits.
    """
    if start < 1 or (max is not None and max < 1):
        raise ValueError(
            f"find_batch_size begins with 1 item or more and ends with 1 or more, but got "
            f"start={start}, max={max}."
        )
    limit = _items_to_train_on(learn) if max is None else max
    learn.place_model()
    settings = Switches(learn.precision.kind, learn.channels_last, learn.compile)
    precision = learn.precision
    try:
        with _measuring(learn) as trial:
            uncompiled = replace(settings, compile=False)
            if learn.device.type == "cpu":
                found = min(_estimated(learn, trial, uncompiled), limit)
            else:
                found = largest(lambda n: trial.fits(uncompiled, n), start, limit)
    finally:
        switch_to(learn, settings)
        learn.precision = precision
    if found < 1:
        raise TrainingError(
            f"Not even a batch of one item can be trained in the memory that is free on "
            f"{_in_words(learn.device)}. Smaller pictures, a smaller model, or precision='bf16' "
            "need less; other programs may hold the rest."
        )
    return found


@contextmanager
def _measuring(learn: "Learner") -> Iterator[Measurement]:
    """Train all layers of the model on a batch; all is as it was afterwards."""
    with no_trace(learn), memory_kept(learn.device), small_maps(learn.model, learn.device):
        batch = _batch(learn)  # which may draw from the random state, too
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about ways that are only tried
            learn.model.train()
            for weight in learn.model.parameters():
                weight.requires_grad_(weight.is_floating_point())
            learn.model.zero_grad()
            try:
                yield Measurement(learn, batch)
            finally:
                learn.forget_batch()


def _why_not_compiled(
    learn: "Learner", trial: Measurement, chosen: Switches, epochs: int, asked: bool | None
) -> str:
    """Return why compiling is not tried; nothing if it is."""
    if asked is not None:
        return "" if asked else "To compile was not tried, as asked."
    if learn.device.type != "cuda":
        return "To compile was not tried: that is for CUDA."
    if importlib.util.find_spec("triton") is None:
        return "To compile was not tried: it needs the package triton."
    a_step = next(t.median for t in trial.trials if t.switches == chosen)
    expected = epochs * len(learn.dls.train) * a_step
    if not _from_first(learn, int(expected > _PAYS_AFTER)):
        return (
            f"To compile was not tried: it takes a minute, and {epochs} epochs about "
            f"{expected:.0f} s. learn.auto(compile=True) tries it."
        )
    return ""


def _agreed(learn: "Learner", trial: Measurement) -> Switches:
    """Return the fastest way: that which the first process found, if several train together."""
    ways = [t.switches for t in trial.trials]
    return ways[_from_first(learn, ways.index(fastest(trial.trials)))]


def _from_first(learn: "Learner", number: int) -> int:
    return number if learn.ranks.world == 1 else from_first(number)


def _estimated(learn: "Learner", trial: Measurement, way: Switches) -> int:
    """Return how many items four fifths of the available memory hold; two passes tell.

    What grows with the batch is what the forward pass keeps, and in the backward pass the
    gradients of two of the largest maps beside it. Of a resnet18, a mobilenet_v2 and a
    convnext_tiny this was 1.07, 1.10 and 1.45 times what a step of 64 to 256 items took.
    """
    few, more = trial.saved(way, 2), trial.saved(way, 6)
    inputs = sum(x.untyped_storage().nbytes() for x in learn.xb if isinstance(x, Tensor)) / 6
    each = (more.total - few.total) / 4 + 2 * more.most / 6 + inputs
    free = available_memory()
    if free is None:
        raise TrainingError(
            "find_batch_size cannot tell how much memory is free on this system. A batch of "
            f"n items needs about {each / 1e6:.1f} MB x n."
        )
    return int((0.8 * free - trained_bytes(learn.model)) / max(each, 1.0))


def _batch(learn: "Learner") -> Any:
    if len(learn.dls.train) == 0:
        raise TrainingError(
            "There is no batch to measure with: the training loader is empty. Check the items "
            "and the splitter, or a batch size larger than the data with drop_last."
        )
    return learn.dls.one_batch()


def _items_to_train_on(learn: "Learner") -> int:
    try:
        return max(len(learn.dls.train.dataset), 1)
    except (AttributeError, TypeError):  # a stream, or a loader of one's own
        return 1 << 16


def _in_words(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        n = torch.get_num_threads()
        return "a CPU with 1 thread" if n == 1 else f"a CPU with {n} threads"
    return str(device)
