import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.core.errors import TrainingError
from presize.train.averaging import Averaged
from presize.train.losses import (
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    FocalLoss,
    MSELossFlat,
    activation_of,
)

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)) * 5


@pytest.fixture
def models():
    torch.manual_seed(1)
    return [nn.Linear(4, 3) for _ in range(3)]


@pytest.mark.parametrize(
    "loss",
    [CrossEntropyLossFlat(), FocalLoss(), F.cross_entropy, F.nll_loss, BCEWithLogitsLossFlat(),
     F.binary_cross_entropy_with_logits, MSELossFlat()],
)  # fmt: skip
def test_the_activation_makes_the_mean_of_the_probabilities_of_it(models, loss):
    act = activation_of(loss)
    wanted = torch.stack([act(model(X)) for model in models]).double().mean(0)
    got = act(Averaged(models, act)(X))
    # nll_loss takes log-probabilities, whose exp can be any size.
    assert torch.allclose(got.double(), wanted, rtol=1e-5, atol=1e-6)


def test_losses_and_gradients_of_certain_models_are_finite():
    sure = nn.Linear(4, 3)
    nn.init.constant_(sure.weight, 0.0)
    sure.bias.data = torch.tensor([200.0, 0.0, -200.0])
    for loss, target in (
        (CrossEntropyLossFlat(), torch.full((6,), 2)),
        (BCEWithLogitsLossFlat(), torch.eye(3)[[2] * 6]),
    ):
        out = Averaged([sure, sure], activation_of(loss))(X)
        assert out.isfinite().all() and loss(out, target).isfinite()


def test_what_cannot_be_undone_is_averaged_as_it_is(models):
    for act in (lambda x: x.argmax(1), lambda x: x.tanh(), lambda x: x[0]["no"]):
        got = Averaged(models, act)(X)
        assert torch.allclose(got, torch.stack([m(X) for m in models]).mean(0))


class Several(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, x):
        return self.one(x), {"other": [self.other(x)]}


def test_several_outputs_are_averaged_each():
    models = [Several() for _ in range(3)]
    one, rest = Averaged(models, activation_of(CrossEntropyLossFlat()))(X)
    assert torch.allclose(one, torch.stack([m.one(X) for m in models]).mean(0))
    assert torch.allclose(rest["other"][0], torch.stack([m.other(X) for m in models]).mean(0))
    with pytest.raises(TrainingError, match="averaged, tensor by tensor, .* of the type str"):
        Averaged([lambda_module("no")], torch.sigmoid)(X)


def lambda_module(output):
    module = nn.Module()
    module.forward = lambda x: output
    return module


def test_the_activation_can_be_replaced(models):
    averaged = Averaged(models, activation_of(CrossEntropyLossFlat()))
    averaged.activation = torch.sigmoid
    wanted = torch.stack([model(X).sigmoid() for model in models]).mean(0)
    assert torch.allclose(averaged(X).sigmoid(), wanted, atol=1e-6)


def test_one_model_at_least():
    with pytest.raises(ValueError, match="there are none"):
        Averaged([], torch.sigmoid)
