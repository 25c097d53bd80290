"""Runs that are equal to the bit, and the way back to fast algorithms."""

import os
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from presize.core.determinism import set_deterministic
from presize.core.randomness import set_seed
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.metrics import accuracy
from presize.train.optim import Adam

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


def settings() -> tuple[object, ...]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
        os.environ.get(CUBLAS),
    )


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(CUBLAS, raising=False)
    yield
    set_deterministic(False)
    assert not torch.are_deterministic_algorithms_enabled()


def test_all_switches_are_set_and_put_back() -> None:
    before = settings()
    set_seed(0, deterministic=True)
    assert settings() == (True, False, False, True, ":4096:8")
    set_seed(1)
    assert settings()[0] is True, "None leaves it as it is"
    set_seed(2, deterministic=True)
    set_seed(2, deterministic=False)
    assert settings() == before
    set_seed(3, deterministic=False)
    assert settings() == before


def test_what_a_user_had_set_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CUBLAS, ":16:8")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    set_seed(0, deterministic=True)
    assert settings() == (True, False, False, True, ":16:8")
    set_seed(0, deterministic=False)
    assert settings() == (False, False, True, False, ":16:8")


def test_an_operation_without_a_deterministic_way_is_named() -> None:
    values = torch.randn(4, requires_grad=True)
    set_seed(0, deterministic=True)
    with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
        torch.empty(3).put_(torch.tensor([0, 0]), values[:2].detach(), accumulate=False)


def trained(seed: int, workers: int) -> tuple[dict[str, Tensor], list[float], list[object]]:
    """Train a small net with all that draws: order, augmentation, dropout, first weights."""
    set_seed(seed, deterministic=True)
    pictures = torch.linspace(0, 1, 24 * 3 * 12 * 12).reshape(24, 3, 12, 12)
    data = [(picture, torch.tensor(i % 2)) for i, picture in enumerate(pictures)]
    train = DataLoader(data, 8, shuffle=True, num_workers=workers)
    dls = DataLoaders(train, DataLoader(data, 12), device="cpu")
    model = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveMaxPool2d(2)),
        *(nn.Flatten(), nn.Dropout(0.3), nn.Linear(32, 2)),
    )
    learn = Learner(dls, model, F.cross_entropy, Adam, metrics=accuracy)
    with learn.no_logging():
        learn.fit_one_cycle(3, 1e-2)
    rows = [list(row) for row in learn.recorder.values]
    return learn.model.state_dict(), learn.recorder.losses, rows


def test_two_runs_are_equal_to_the_bit() -> None:
    weights, losses, rows = trained(5, 0)
    again, losses_again, rows_again = trained(5, 2)
    assert losses == losses_again
    assert rows == rows_again
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    other, losses_other, _ = trained(6, 0)
    assert losses != losses_other
    assert not torch.equal(weights["0.weight"], other["0.weight"])
