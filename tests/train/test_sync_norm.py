"""BatchNorm layers that are replaced for a while."""

import pytest
import torch
from torch import nn

from presize.core.errors import TrainingError
from presize.train.sync_norm import synced_norms

GPU = torch.device("cuda")  # only layers are replaced, nothing is computed


def model() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4)), nn.BatchNorm1d(4))


def test_layers_are_replaced_and_come_back() -> None:
    net = model()
    layers, keys, parameters = list(net.modules()), list(net.state_dict()), list(net.parameters())
    with synced_norms(net, GPU):
        assert sum(isinstance(m, nn.SyncBatchNorm) for m in net.modules()) == 2
        assert list(net.state_dict()) == keys
        assert all(a is b for a, b in zip(net.parameters(), parameters, strict=True))
        net.state_dict()["2.running_mean"].fill_(7.0)
        net.eval()
    assert list(net.modules()) == layers
    assert net.state_dict()["2.running_mean"].tolist() == [7.0] * 4
    assert not layers[-1].training


def test_they_come_back_after_an_error() -> None:
    net = model()
    with pytest.raises(KeyError), synced_norms(net, GPU):
        raise KeyError
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in net.modules())


def test_a_cpu_is_refused() -> None:
    wanted = pytest.raises(TrainingError, match=r"sync_bn=True needs GPUs")
    with wanted, synced_norms(model(), torch.device("cpu")):
        pass


def test_a_layer_that_does_more_is_refused() -> None:
    class WithActivation(nn.BatchNorm2d):
        pass

    net = nn.Sequential(nn.Sequential(WithActivation(3)))
    wanted = pytest.raises(TrainingError, match=r"`0.0` is a WithActivation, which may do more")
    with wanted, synced_norms(net, GPU):
        pass
