"""What a model answers over a whole loader, whatever it answers with."""

from collections import namedtuple

import torch
from torch import nn

from presize.callbacks.gather import GatherPredsCallback, reorder
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner

Out = namedtuple("Out", "scores aux number")


class Several(nn.Module):
    """A model with outputs of several kinds."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x):
        scores = self.layer(x)
        return Out(scores, None, scores.mean())


def learner(n=5):
    x = torch.arange(2.0 * n).view(n, 2)
    dl = DataLoader([(row, row.sum()) for row in x], 2)
    loss = lambda pred, y: (pred.scores[:, 0] - y).square().mean()  # noqa: E731
    return Learner(DataLoaders(dl, dl, device="cpu"), Several(), loss_func=loss), x


def test_named_tuples_none_and_numbers_of_a_whole_batch():
    learn, x = learner()
    preds, targets = learn.get_preds()
    assert isinstance(preds, Out)
    torch.testing.assert_close(preds.scores, learn.model.layer(x).detach())
    assert preds.aux is None
    assert preds.number.shape == ()
    assert torch.equal(targets, x.sum(1))


def test_all_that_can_be_kept():
    learn, x = learner()
    gather = GatherPredsCallback(with_input=True, with_targs=False, with_preds=False)
    learn.run_validation(learn.dls.valid, gather)
    assert torch.equal(gather.all_inputs(), x)
    assert gather.all_preds() is None and gather.all_targets() is None
    assert gather.all_losses() is None


def test_back_into_order():
    order = torch.tensor([2, 0, 1])
    values = torch.tensor([20, 0, 10]), {"a": torch.tensor([2.0, 0.0, 1.0])}
    rows, named = reorder(values, order)
    assert rows.tolist() == [0, 10, 20]
    assert named["a"].tolist() == [0, 1, 2]
