"""What a model does not save, and the state of a loss."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.core.errors import ModelFileError
from presize.train.loss_state import restore_unsaved_state, unsaved_state, with_loss


class Net(nn.Module):
    def __init__(self, cache=None):
        super().__init__()
        self.layer = nn.BatchNorm1d(2)
        self.register_buffer("mean", torch.zeros(2), persistent=False)
        self.register_buffer("cache", cache, persistent=False)


class Loss(nn.Module):
    def __init__(self, model=None):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.register_buffer("weight", torch.ones(2))
        self.model = model


def test_the_two_are_one_module_and_share_what_they_share():
    model = Net()
    both = with_loss(model, Loss(model))
    assert [name for name, _ in both.named_parameters()] == [
        *("model.layer.weight", "model.layer.bias", "loss.scale")
    ]
    assert list(with_loss(model, F.mse_loss)) == ["model"]


def test_it_is_put_back_in_place():
    model, loss = Net(torch.ones(3)), Loss()
    model.mean += 2
    with torch.no_grad():
        loss.scale += 2
    loss.weight += 2
    state = unsaved_state(model, loss)
    assert set(state) == {"model.mean", "model.cache", "loss.scale", "loss.weight"}
    other, fresh = Net(), Loss()
    mean, weight = other.mean, fresh.weight
    restore_unsaved_state(other, fresh, state)
    assert (other.mean is mean, fresh.weight is weight) == (True, True)
    for name, value in unsaved_state(other, fresh).items():
        assert torch.equal(value, state[name])
    assert set(other.state_dict()) == set(model.state_dict())
    model.cache += 1
    assert other.cache.tolist() == [1, 1, 1]


def test_a_buffer_that_is_made_in_training_is_made_again():
    model, fresh = Net(), Net()
    model.layer.register_buffer("late", torch.ones(2), persistent=False)
    restore_unsaved_state(fresh, None, unsaved_state(model, None))
    assert fresh.layer.late.tolist() == [1, 1]
    assert "layer.late" not in fresh.state_dict()


def test_a_buffer_that_shares_its_memory_with_itself_is_replaced():
    state = {"model.mean": torch.tensor([1.0, 2.0])}
    model = Net()
    model.mean = torch.zeros(1).expand(2)
    restore_unsaved_state(model, None, state)
    assert model.mean.tolist() == [1, 2]


@pytest.mark.parametrize("loss", [F.mse_loss, nn.Sequential()])
def test_another_loss_is_refused(loss):
    state = unsaved_state(Net(), nn.Sequential(Loss()))
    with pytest.raises(ModelFileError, match="holds `0.scale` of another loss than this one"):
        restore_unsaved_state(Net(), loss, state)


def test_so_is_one_of_another_shape():
    loss = Loss()
    loss.scale = nn.Parameter(torch.ones(5))
    with pytest.raises(ModelFileError, match="holds `scale` of another loss"):
        restore_unsaved_state(Net(), Loss(), unsaved_state(Net(), loss))
