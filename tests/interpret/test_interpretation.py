"""Losses of any task: what is kept of an item, and what is asked for again when it is shown."""

import numpy as np
import pytest
import torch
from torch import nn

from presize.core.errors import DataError
from presize.data.blocks import ImageBlock, MaskBlock, RegressionBlock
from presize.data.datablock import DataBlock
from presize.data.items import get_image_files
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.data.splits import EndSplitter
from presize.interpret.interpretation import Interpretation
from presize.interpret.kept_items import Items
from presize.learner import Learner


@pytest.mark.parametrize(
    ("task", "vocab", "decoded", "targs", "caption"),
    [
        ("classification", ["cat", "dog"], [1], [0], ["dog / cat", "0.50", "7.jpg"]),
        ("multilabel", ["a", "b", "c"], [[1, 0, 1]], [[0, 1, 0]], ["a; c / b", "0.50", "7.jpg"]),
        ("regression", None, [[1.23456]], [2.0], ["1.235 / 2", "0.50", "7.jpg"]),
        ("segmentation", ["a", "b"], [[[0, 1]]], [[[1, 1]]], ["0.50", "7.jpg"]),
        ("points", None, [[0.1, 0.2]], [[[0.1, 0.2]]], ["0.50", "7.jpg"]),
    ],
)
def test_captions_are_in_the_words_of_the_task(task, vocab, decoded, targs, caption):
    items = Items(torch.tensor([0]), files=["folder/7.jpg"])
    decoded, targs = torch.tensor(decoded), torch.tensor(targs)
    losses = torch.tensor([0.5])
    interp = Interpretation(losses, items, task=task, vocab=vocab, targs=targs, decoded=decoded)
    assert interp.caption(0) == caption
    drawn = task in ("segmentation", "points")
    assert interp.heading == ("Loss" if drawn else "Prediction / Actual / Loss")


def brightness(path):
    return float(len(path.name))


def regression(folder):
    block = DataBlock(
        blocks=(ImageBlock, RegressionBlock),
        get_items=get_image_files,
        get_y=brightness,
        splitter=EndSplitter(0.5),
        item_tfms=Resize(16),
    )
    dls = block.dataloaders(folder, bs=8, num_workers=0)
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))
    return Learner(dls, net)


def test_of_numbers_targets_and_predictions_are_kept(picture_folder):
    learn = regression(picture_folder)
    interp = Interpretation.from_learner(learn)
    preds, targs, losses = learn.get_preds(with_loss=True)
    assert torch.equal(interp.decoded, preds) and torch.equal(interp.targs, targs)
    assert torch.equal(interp.losses, losses)
    figure = interp.plot_top_losses(4).figure
    row = int(interp.top_rows(1)[1])
    assert f"{float(preds[row]):.4g}" in figure.axes[0].get_title().replace("\n", " ")
    assert interp.files == [str(item) for item in learn.dls.valid_ds.items]


def mask_of(path):
    return np.ones((16, 16), np.uint8)


@pytest.mark.parametrize("side", [16, 17])
def test_large_masks_are_not_kept_but_predicted_again(picture_folder, side):
    block = DataBlock(
        blocks=(ImageBlock, MaskBlock(codes=["back", "thing"])),
        get_items=get_image_files,
        get_y=mask_of,
        splitter=EndSplitter(0.25),
        item_tfms=Resize(side, method="squish"),
    )
    dls = block.dataloaders(picture_folder, bs=4, num_workers=0)
    learn = Learner(dls, nn.Conv2d(3, 2, 1))
    interp = Interpretation.from_learner(learn)
    _, targs, decoded, losses = learn.get_preds(with_decoded=True, with_loss=True)
    assert torch.equal(interp.losses, losses)
    if side == 16:  # 256 numbers are few enough
        assert torch.equal(interp.decoded, decoded) and torch.equal(interp.targs, targs)
    else:
        assert interp.decoded is None and interp.targs is None
    axes = interp.plot_top_losses(2)
    assert len(axes[0].images) == 2  # the picture, and the mask on it
    shown = torch.as_tensor(axes[0].images[1].get_array().filled(0))
    assert torch.equal(shown.long(), decoded[int(interp.top_rows(1)[1])].long())


class Pair(nn.Module):
    """A model with two outputs."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x):
        return self.layer(x), x


def test_several_outputs_leave_the_losses():
    x = torch.arange(10.0).view(5, 2)
    loader = DataLoader([(row, row.sum()) for row in x], 2)
    loss = lambda pred, y: (pred[0][:, 0] - y).square().mean()  # noqa: E731
    learn = Learner(DataLoaders(loader, loader, device="cpu"), Pair(), loss)
    interp = Interpretation.from_learner(learn)
    expected = (learn.model.layer(x)[:, 0] - x.sum(1)).square()
    torch.testing.assert_close(interp.losses, expected.detach())
    assert interp.decoded is None and interp.names_of(0) == ("", "")


def test_masks_of_several_sizes():
    sizes = (4, 4, 8)
    batches = [(torch.zeros(2, 1, n, n), torch.zeros(2, n, n, dtype=torch.int64)) for n in sizes]
    learn = Learner(
        DataLoaders(batches, batches, device="cpu"), nn.Conv2d(1, 2, 1), nn.CrossEntropyLoss()
    )
    interp = Interpretation.from_learner(learn)
    assert len(interp) == 6 and interp.decoded is None


def test_top_losses_from_both_ends(picture_folder):
    interp = Interpretation.from_learner(regression(picture_folder))
    assert len(interp.top_losses()[0]) == len(interp)
    assert (interp.top_losses()[0].diff() <= 0).all()
    smallest, rows = interp.top_rows(3, largest=False)
    assert torch.equal(smallest, interp.losses.sort().values[:3])
    assert torch.equal(interp.losses[rows], smallest)


def test_without_a_learner_masks_and_heat_maps_cannot_be_had():
    items = Items(torch.tensor([0]), files=["7.jpg"])
    interp = Interpretation(torch.tensor([0.5]), items, task="segmentation")
    for ask in (lambda: interp.plot_top_losses(1), lambda: interp.heat_maps([0])):
        with pytest.raises(DataError, match=r"load\(path, learn=learn\)"):
            ask()
