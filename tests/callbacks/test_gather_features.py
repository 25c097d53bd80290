import warnings

import torch
from torch import nn

from presize.callbacks.gather_features import gathered_features
from presize.data.loaders import DataLoaders
from presize.learner import Learner


def learner():
    x, y = torch.randn(10, 3), torch.arange(10) % 2
    batches = [(x[:4], y[:4]), (x[4:8], y[4:8]), (x[8:], y[8:])]
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    return Learner(DataLoaders(batches, batches), model, nn.CrossEntropyLoss()), x


def test_they_are_what_the_last_layer_sees_in_the_order_of_the_items():
    learn, x = learner()
    with gathered_features(learn) as gathered:
        preds = learn.get_preds(cbs=gathered.callback)[0]
    with torch.no_grad():
        wanted = learn.model[:2](x)
    assert torch.allclose(gathered.features(), wanted)
    assert torch.equal(learn.get_preds()[0], preds)
    assert not any(layer._forward_pre_hooks for layer in learn.model.modules())


def test_a_second_pass_starts_anew_and_an_empty_one_has_no_rows():
    learn, x = learner()
    with gathered_features(learn) as gathered:
        for _ in range(2):
            learn.get_preds(cbs=gathered.callback)
        assert len(gathered.features()) == len(x)
        learn.get_preds(dl=[], cbs=gathered.callback)
    assert gathered.features().shape == (0, 0)


def test_a_part_that_is_computed_again_counts_once():
    """Memory that runs out in the loss comes after the features of the part were seen."""
    learn, _ = learner()
    loss = learn.loss_func

    def short_of_memory(pred, target):
        if len(pred) > 2:
            raise torch.OutOfMemoryError("no room")
        return loss(pred, target)

    with gathered_features(learn) as gathered:
        learn.get_preds(cbs=gathered.callback)
    wanted = gathered.features()
    learn.loss_func = short_of_memory
    learn.loss_func.activation = lambda z: z.softmax(1)
    with gathered_features(learn) as gathered, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learn.get_preds(cbs=gathered.callback)
    assert torch.allclose(gathered.features(), wanted)
