"""The comparison before anything is written: real pictures, random inputs, batches of all sizes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from presize.core.errors import ExportError
from presize.deploy.exporting.compare import (
    Agreement,
    Run,
    agreement,
    in_batches,
    refuse_other,
)
from presize.deploy.exporting.preprocessing import Preprocessing
from presize.deploy.exporting.subject import Subject

_RANDOM = 12
_AT_FAULT = (
    "The exporter or its runtime computes something else: export another way, change that layer, "
    "or, if so much is no harm, give a larger tolerance=."
)
_TIMED = 0.15  # seconds
# A JPEG that is much larger than needed is decoded smaller by the loader, and averaged by the
# graph: probabilities differ by up to some hundredths on pictures that are a close call.
PREPARED = 0.1


def network_of(module: nn.Module) -> Run:
    """Return a module as a program."""

    def run(x: Tensor) -> Tensor:
        with torch.inference_mode():
            made: Tensor = module(x)
        return made

    return run


def check_real(run: Run, subject: Subject, tolerance: float, runtime: str) -> Agreement:
    """Compare with PyTorch on real pictures; raises ExportError if it does not agree."""
    pictures = subject.pictures
    expected = in_batches(network_of(subject.network), pictures.inputs, (16,))
    got = in_batches(run, pictures.inputs)
    found = agreement(expected, got, pictures.names, subject.task, tie=2 * tolerance)
    refuse_other(found, tolerance, f"PyTorch and {runtime}", _AT_FAULT)
    return found


def check_random(run: Run, subject: Subject, tolerance: float, runtime: str) -> Agreement:
    """Compare on random inputs; raises ExportError if it does not agree."""
    draws = torch.Generator().manual_seed(0)
    inputs = torch.randn((_RANDOM, *subject.pictures.inputs.shape[1:]), generator=draws)
    expected = network_of(subject.network)(inputs)
    got = in_batches(run, inputs, (2, 1, 5))
    names = [f"random input {i}" for i in range(_RANDOM)]
    found = agreement(expected, got, names, subject.task, tie=2 * tolerance)
    refuse_other(found, tolerance, f"PyTorch and {runtime}", _AT_FAULT)
    return found


@dataclass(frozen=True, slots=True)
class PixelChecks:
    """How far a program that takes decoded pictures agrees.

    Args:
        real: with PyTorch, on real pictures.
        random: with PyTorch, on random pixels of several sizes.
        prepared: with what the learner says of the same pictures, which it reads itself.
    """

    real: Agreement
    random: Agreement
    prepared: Agreement


def check_pixels(
    run: Run, subject: Subject, module: nn.Module, tolerance: float, runtime: str
) -> PixelChecks:
    """Compare a program that takes decoded pictures with PyTorch, and with the learner.

    Raises:
        ExportError: they do not agree.
    """
    eager, pictures = network_of(module), subject.pictures
    expected, got = [], []
    for i in range(len(pictures.opened)):
        pixels = pictures.decoded(i)
        expected.append(eager(pixels))
        got.append(run(pixels))
    answers, names = torch.cat(got), pictures.names
    real = agreement(torch.cat(expected), answers, names, subject.task, tie=2 * tolerance)
    refuse_other(real, tolerance, f"PyTorch and {runtime}", _AT_FAULT)
    random = _random_pixels(run, eager, subject, tolerance)
    refuse_other(random, tolerance, f"PyTorch and {runtime}", _AT_FAULT)
    told = in_batches(network_of(subject.network), pictures.inputs, (16,))
    refuse_other(
        agreement(told, answers, names, subject.task, tie=PREPARED),
        PREPARED,
        "The preprocessing of the file and that of the learner",
        "Export with preprocessing=False and prepare the pictures as the learner does.",
    )
    return PixelChecks(
        real, random, agreement(told, answers, names, subject.task, tie=2 * tolerance)
    )


def _random_pixels(run: Run, eager: Run, subject: Subject, tolerance: float) -> Agreement:
    rng = np.random.default_rng(0)
    expected, got, names = [], [], []
    for n, *sides in ((2, 37, 53), (3, 301, 200), (1, 16, 9)):
        shape = (n, *(subject.fixed or sides), 3)
        pixels = torch.from_numpy(rng.integers(0, 256, shape, dtype=np.uint8))
        expected.append(eager(pixels))
        got.append(run(pixels))
        names += [f"a random picture of {shape[1]}x{shape[2]}"] * n
    both = torch.cat(expected), torch.cat(got)
    return agreement(*both, names, subject.task, tie=2 * tolerance)


def milliseconds(run: Run, one: Tensor) -> float:
    """Return the median time of a picture, of three at least, after one to warm up.

    Args:
        run: the program.
        one: a batch of one.
    """
    run(one)
    taken: list[float] = []
    while sum(taken) < _TIMED or len(taken) < 3:
        start = time.perf_counter()
        run(one)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken) * 1e3)


def preprocessing_of(subject: Subject) -> Preprocessing:
    """Return the preprocessing of the learner, which the file is to hold."""
    return Preprocessing.of(subject.learn.dls.valid, subject.channels, subject.fixed)


class Whole(nn.Module):
    """Preprocessing and network as one."""

    def __init__(self, first: nn.Module, then: nn.Module) -> None:
        super().__init__()
        self.first, self.then = first, then

    def forward(self, pictures: Tensor) -> Tensor:
        """Return probabilities of decoded pictures, uint8 [n,h,w,3]."""
        made: Tensor = self.then(self.first(pictures))
        return made


def first_line(error: BaseException, most: int = 300) -> str:
    """Return the beginning of what an exporter says of what it cannot do, of the first cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines: Sequence[str] = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[0] if lines else ""
    return f"{type(error).__name__}: {said}"[:most].rstrip(".: ")


def not_exportable(subject: Subject, error: Exception, exporter: str) -> ExportError:
    """Return the error for a network that an exporter cannot follow."""
    name = type(subject.network.network).__name__
    return ExportError(
        f"{exporter} cannot follow the network `{name}`: {first_line(error)}. "
        "Usual causes are branches that depend on values, code that is not PyTorch's, and layers "
        "that the format lacks. Change forward so that it is tensor operations alone, or keep the "
        "model file, which load_learner and `presize serve` read."
    )
