"""Which process of how many this is, from the environment."""

import pytest

from presize.core.errors import DataError
from presize.core.ranks import Rank, current_rank, is_main, local_rank, started_together


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


def test_a_program_by_itself() -> None:
    assert current_rank() == Rank(0, 1)
    assert is_main()
    assert not started_together()
    assert local_rank() == 0


def test_one_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert current_rank() == Rank(5, 8)
    assert not is_main()
    assert started_together()
    assert local_rank() == 1
    monkeypatch.delenv("LOCAL_RANK")
    assert local_rank() == 5


def test_only_the_first_is_the_main_one() -> None:
    assert [Rank(i, 3).is_main for i in range(3)] == [True, False, False]


def test_variables_that_contradict_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(DataError, match=r"RANK=2 and WORLD_SIZE=2 should say .* with torchrun"):
        current_rank()
