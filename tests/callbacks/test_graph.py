import io
import math
import types

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from presize.callbacks import graph
from presize.callbacks.graph import ShowGraph, ShowGraphCallback, blocks
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.optim import SGD


def make_learner(*cbs):
    torch.manual_seed(0)
    x = torch.randn(4, 3)
    batches = [(x, x.sum(1, keepdim=True))] * 6
    dls = DataLoaders(batches, batches[:2], device="cpu")
    return Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, lr=0.1, cbs=list(cbs))


def test_a_line_of_blocks_shows_the_shape():
    assert blocks([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert blocks([5.0, 5.0]) == "▁▁"
    assert blocks([]) == ""
    assert blocks([1.0, math.nan, 0.0]) == "█ ▁"


def test_long_curves_are_averaged_to_the_width():
    assert blocks([0, 0, 7, 7, 0, 0], width=3) == "▁█▁"
    assert len(blocks(list(range(1001)), width=40)) == 40
    falling = blocks([1 / (1 + i) for i in range(1001)], width=40)
    assert falling == "".join(sorted(falling, reverse=True))


def test_a_log_gets_two_lines_at_the_end(capsys, monkeypatch):
    monkeypatch.setenv("PRESIZE_PLAIN", "1")
    learn = make_learner(ShowGraph())
    learn.fit(3)
    lines = capsys.readouterr().out.splitlines()[-2:]
    losses, valid = learn.recorder.losses, [row[1] for row in learn.recorder.values]
    assert lines[0].startswith("train_loss  █") and lines[1].startswith("valid_loss  █")
    assert lines[0].endswith(f"▁  {losses[0]:.4f} to {losses[-1]:.4f}")
    assert lines[1] == f"valid_loss  {blocks(valid)}  {valid[0]:.4f} to {valid[-1]:.4f}"


def test_nothing_is_shown_where_logging_is_off_or_a_rate_is_looked_for(capsys):
    learn = make_learner(ShowGraph())
    with learn.no_logging():
        learn.fit(1)
    learn.lr_find(show_plot=False, num_it=20)
    assert capsys.readouterr().out == ""


def test_a_notebook_gets_one_picture_that_is_drawn_anew(capsys, monkeypatch):
    from IPython import display
    from matplotlib import pyplot as plt

    shown, updates = [], []

    def show(picture, display_id):
        shown.append(picture.data)
        return types.SimpleNamespace(update=lambda picture: updates.append(picture.data))

    monkeypatch.setattr(display, "display", show)
    monkeypatch.setattr(graph, "in_notebook", lambda: True)
    learn = make_learner(ShowGraph())
    learn.fit(3)
    assert len(shown) == 1 and len(updates) == 2
    sizes = {Image.open(io.BytesIO(data)).size for data in [*shown, *updates]}
    assert sizes == {(600, 400)}
    assert len({*shown, *updates}) == 3
    assert not plt.get_fignums()
    assert "█" not in capsys.readouterr().out


def test_its_old_name_is_the_same_class():
    assert ShowGraphCallback is ShowGraph


def test_an_error_in_the_first_epoch_is_not_hidden():
    learn = make_learner(ShowGraph())
    learn.loss_func = lambda p, t: 1 / 0
    with pytest.raises(ZeroDivisionError):
        learn.fit(1)
