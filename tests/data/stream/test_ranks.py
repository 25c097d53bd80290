import pytest

from presize.core.errors import DataError
from presize.data.stream.ranks import current_rank


def test_by_default_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert current_rank() == (0, 1)


def test_the_variables_of_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert current_rank() == (3, 8)


@pytest.mark.parametrize(("rank", "world"), [("2", "2"), ("-1", "2"), ("x", "2"), ("0", "")])
def test_contradictions_are_told(monkeypatch: pytest.MonkeyPatch, rank: str, world: str) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", world)
    with pytest.raises(DataError, match=f"RANK={rank} and WORLD_SIZE={world} should say.*torchrun"):
        current_rank()


def test_a_group_that_has_been_formed_counts_most(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch import distributed

    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    distributed.init_process_group("gloo", rank=0, world_size=1, store=distributed.HashStore())
    try:
        assert current_rank() == (0, 1)
    finally:
        distributed.destroy_process_group()
