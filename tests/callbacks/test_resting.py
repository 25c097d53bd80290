import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import Callback
from presize.callbacks.resting import looks_for_rate
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.optim import SGD


def test_the_mock_training_of_lr_find_is_told_from_a_fit():
    seen = []

    class Look(Callback):
        def before_fit(self, learn):
            seen.append(looks_for_rate(learn))

    batches = [(torch.randn(4, 3), torch.randn(4, 1))] * 4
    dls = DataLoaders(batches, batches, device="cpu")
    learn = Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, cbs=Look())
    with learn.no_logging():
        learn.fit(1)
        learn.lr_find(show_plot=False, num_it=12)
        learn.fit(1)
    assert seen == [False, True, False]
