from torch import nn

from presize.core.modules import modules_of, tensors_of


def test_all_modules_and_tensors_are_seen():
    shared = nn.Linear(2, 2)
    model = nn.Sequential(nn.BatchNorm1d(2), shared, nn.Sequential(nn.ReLU(), shared))
    model.register_module("nothing", None)
    model.register_buffer("none", None)
    assert set(modules_of(model)) == set(model.modules())
    expected = {*map(id, model.parameters()), *map(id, model.buffers())}
    assert {id(t) for t in tensors_of(model)} == expected
