"""Which parts of a model are gathered as one; tests/test_distribution.py trains one in parts."""

from torch import nn

from presize.train.sharding import blocks


def test_blocks_are_the_large_elements_of_sequences() -> None:
    inner = nn.Sequential(nn.Linear(10, 10), nn.Linear(2, 2))
    model = nn.Sequential(inner, nn.ModuleList([nn.Linear(10, 9), nn.Linear(1, 1)]), nn.ReLU())
    found = blocks(model, least=90)
    assert found[-1] is model
    assert [id(block) for block in found[:-1]] == [id(model[1][0]), id(inner[0]), id(inner)]


def test_a_small_model_is_one_block() -> None:
    model = nn.Sequential(nn.Linear(3, 3))
    assert blocks(model, least=1000) == [model]
