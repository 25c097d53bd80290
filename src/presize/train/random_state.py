"""Where random streams are: PyTorch's, NumPy's and Python's, and presize's own draws by hand.

What a loader draws is counted and needs no state; dropout, and users' own code, draw from these.
"""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from presize.core.randomness import loose_place, set_loose_place


def random_state(device: torch.device) -> dict[str, Any]:
    """Return the states of the generators that code on `device` draws from, for a checkpoint."""
    version, words, gauss = random.getstate()
    numpy: Any = np.random.get_state()  # noqa: NPY002 - users' code draws from the global one
    _, keys, position, has_gauss, cached = numpy
    state: dict[str, Any] = {
        "python": [version, list(words), gauss],
        "numpy": [torch.tensor(keys.tolist()), int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
        "loose": list(loose_place()),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def restore_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Let the generators go on where `random_state` saw them.

    A state that was taken on another kind of device has nothing for this one, whose generator then
    stays as it is.
    """
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    keys, position, has_gauss, cached = state["numpy"]
    words = np.asarray(keys.tolist(), dtype=np.uint32)
    np.random.set_state(("MT19937", words, position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    set_loose_place(*state["loose"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
    elif device.type == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"].cpu())


def own_generators(loader: Any) -> dict[str, torch.Generator]:
    """Return the generators that a loader or its samplers were given, by where they are."""
    sampler = getattr(loader, "sampler", None)
    batches = getattr(loader, "batch_sampler", None)
    owners = {
        "loader": loader,
        "sampler": sampler,
        "batch_sampler": batches,
        "batch_sampler.sampler": getattr(batches, "sampler", None),
    }
    found = {place: getattr(owner, "generator", None) for place, owner in owners.items()}
    return {place: one for place, one in found.items() if isinstance(one, torch.Generator)}


def generator_states(loader: Any) -> dict[str, Tensor]:
    """Return the states of the generators of a loader, for a checkpoint."""
    return {place: one.get_state() for place, one in own_generators(loader).items()}


def restore_generators(loader: Any, states: Mapping[str, Tensor]) -> None:
    """Let the generators of a loader go on where `generator_states` saw them."""
    for place, one in own_generators(loader).items():
        if place in states:
            one.set_state(states[place].cpu())
