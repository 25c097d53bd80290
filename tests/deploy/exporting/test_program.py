import io
import json
import warnings
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from presize.core.errors import ExportError
from presize.data.blocks import ImageBlock, MultiCategoryBlock
from presize.data.datablock import DataBlock
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.deploy.exporting.program import METADATA, export_program
from presize.learner import Learner


def load(path):
    """What a user of plain PyTorch does."""
    extra = {METADATA: ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.load(path, extra_files=extra)
    return program.module(), json.loads(extra[METADATA])


def test_pixels_in_probabilities_out_in_plain_pytorch(learn, tmp_path):
    report = export_program(learn, tmp_path / "model", preprocessing=True, quiet=True)
    assert report.path == tmp_path / "model.pt2"
    run, told = load(report.path)
    assert json.loads(told["vocab"]) == ["cat", "dog"]
    assert json.loads(told["check"])["prepared"]["same"] == 12
    for file in list(learn.dls.valid.dataset.items)[::5]:
        pixels = torch.from_numpy(np.array(Image.open(file)))[None]
        assert torch.allclose(run(pixels)[0], learn.predict(file)[2], atol=0.005)
    assert run(torch.zeros((3, 50, 77, 3), dtype=torch.uint8)).shape == (3, 2)


def test_several_labels_and_a_network_of_ones_own(photo_folder, tmp_path):
    def labels(file):
        return [file.parent.name, "picture"] if "1" in file.name else [file.parent.name]

    files = sorted(photo_folder.rglob("*.png"))
    block = DataBlock(
        (ImageBlock, MultiCategoryBlock),
        get_items=lambda source: source,
        get_y=labels,
        splitter=lambda items: (range(8), range(8, 20)),
        item_tfms=Resize(16),
    )
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    learn = Learner(block.dataloaders(files, bs=4, num_workers=0), net, path=tmp_path)
    asks_gradients = [p.requires_grad for p in net.parameters()]
    random, callbacks = torch.get_rng_state(), list(learn.cbs)
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()
    report = export_program(learn, tmp_path / "several.pt2", quiet=True)
    # No trace is left on the learner.
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())
    assert [p.requires_grad for p in net.parameters()] == asks_gradients
    assert list(learn.cbs) == callbacks
    run, told = load(report.path)
    inputs, expected, _ = learn.get_preds(with_input=True)
    assert torch.allclose(run(inputs), expected, atol=1e-6)
    assert (told["task"], told["activation"]) == ("multilabel", "sigmoid")
    assert json.loads(told["vocab"]) == ["cat", "dog", "picture"]
    assert report.found.real.same == 12
    # Neither paths and sources of this machine nor a picture get into the file.
    with zipfile.ZipFile(report.path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    for data in kept.values():
        assert not any(word in data for word in (b"site-packages", b"/src/presize", b"self.last"))
    (example,) = (data for name, data in kept.items() if "sample_inputs" in name)
    assert b"presize" not in example
    ((one,), _) = torch.load(io.BytesIO(example), weights_only=True)
    assert one.shape == (2, 3, 16, 16) and not one.any()


class Branching(nn.Module):
    """Goes one way or the other by the values that it sees."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(3, 2)

    def forward(self, x):
        means = x.mean((2, 3))
        return self.last(means) if means.sum() > 0 else self.last(-means)


def test_a_network_that_cannot_be_followed_is_named(photo_folder, tmp_path, capfd):
    dls = ImageDataLoaders.from_folder(photo_folder, item_tfms=Resize(8), bs=4, num_workers=0)
    with pytest.raises(
        ExportError, match=r"torch.export cannot follow the network `Branching`: GuardOnDataDep"
    ):
        export_program(Learner(dls, Branching(), path=tmp_path), tmp_path / "m.pt2", quiet=True)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")  # the exporter prints its graph


class Restless(nn.Module):
    """Never answers twice alike."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(3, 2)

    def forward(self, x):
        return self.last(x.mean((2, 3))) + torch.rand(len(x), 2)


def test_a_network_that_is_not_itself_is_refused(photo_folder, tmp_path):
    dls = ImageDataLoaders.from_folder(photo_folder, item_tfms=Resize(8), bs=4, num_workers=0)
    with pytest.raises(ExportError, match=r"learn.get_preds do not agree, so nothing was written"):
        export_program(Learner(dls, Restless(), path=tmp_path), tmp_path / "m.pt2", quiet=True)
    assert not list(tmp_path.iterdir())


def test_data_that_is_no_pictures_is_refused(tmp_path):
    from presize.data.loaders import DataLoaders

    batches = [(torch.zeros(2, 3), torch.tensor([0, 1]))]
    foreign = Learner(DataLoaders(batches, batches), nn.Linear(3, 2), nn.CrossEntropyLoss())
    with pytest.raises(ExportError, match="Build it with a DataBlock or ImageDataLoaders"):
        export_program(foreign, tmp_path / "m.pt2")
