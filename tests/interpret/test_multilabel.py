import math

import numpy as np
import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support
from torch import nn

from presize.core.errors import DataError
from presize.data.blocks import ImageBlock, MultiCategoryBlock
from presize.data.datablock import DataBlock
from presize.data.items import get_image_files
from presize.data.resize import Resize
from presize.data.splits import EndSplitter
from presize.interpret.multilabel import MultiLabelInterpretation
from presize.interpret.multilabel_counts import unpacked
from presize.learner import Learner
from presize.train.losses import BCEWithLogitsLossFlat

of = MultiLabelInterpretation.from_learner
LABELS = ["sun", "sea", "sand", "ship", "seal", "salt", "silk", "soup", "song"]


@pytest.fixture
def known():
    generator = torch.Generator().manual_seed(4)
    targets = (torch.rand(40, 9, generator=generator) < 0.3).float()
    targets[:, 8] = 0
    outputs = torch.randn(40, 9, generator=generator) * 2 + targets * 2 - 1
    return outputs, targets


def test_figures_are_those_of_scikit_learn(stored_learner, known):
    outputs, targets = known
    learn = stored_learner(outputs, targets, BCEWithLogitsLossFlat(thresh=0.4), LABELS, bs=16)
    interp = of(learn)
    _, _, decoded, losses = learn.get_preds(with_decoded=True, with_loss=True)
    assert torch.equal(interp.losses, losses)
    assert torch.equal(unpacked(interp.rows.decoded, 9), decoded.bool())
    assert torch.equal(unpacked(interp.rows.targs, 9), targets.bool())
    figures = interp.per_class()
    precision, recall, f1, count = precision_recall_fscore_support(
        targets, decoded, zero_division=np.nan
    )
    np.testing.assert_allclose([f.precision for f in figures], precision)
    np.testing.assert_allclose([f.recall for f in figures], recall)
    np.testing.assert_allclose([f.f1 for f in figures[:8]], f1[:8])
    assert [f.count for f in figures] == count.tolist()
    assert [f.name for f in figures] == LABELS
    means = [losses[targets[:, i] == 1].mean().item() for i in range(8)]
    np.testing.assert_allclose([f.mean_loss for f in figures[:8]], means, rtol=1e-5)
    assert math.isnan(figures[8].mean_loss) and math.isnan(figures[8].average_precision)
    assert "1 of the 9 labels" in interp.notes[0] and "song" in interp.notes[0]


def test_rows_and_names(stored_learner, known):
    interp = of(stored_learner(*known, BCEWithLogitsLossFlat(), LABELS))
    outputs, targets = known
    predicted = outputs > 0
    for number in (0, 3, 7, 8):
        wrong = (predicted[:, number] != targets[:, number].bool()).nonzero()[:, 0].tolist()
        assert sorted(interp.rows_of(LABELS[number], right=False).tolist()) == wrong
        hits = (predicted[:, number] & targets[:, number].bool()).nonzero()[:, 0].tolist()
        assert sorted(interp.rows_of(number, right=True).tolist()) == hits
    assert (interp.losses[interp.rows_of("sea")].diff() <= 0).all()
    said, true = interp.labels_of(5)
    assert said == [LABELS[i] for i in range(9) if predicted[5, i]]
    assert true == [LABELS[i] for i in range(9) if targets[5, i]]
    names = interp.names_of(5)
    assert names == ("; ".join(said) or "none", "; ".join(true) or "none")
    with pytest.raises(DataError, match=r"no class 'sands'\. Did you mean `sand`"):
        interp.rows_of("sands")


def test_the_table_of_labels(stored_learner, known):
    text = of(stored_learner(*known, BCEWithLogitsLossFlat(), LABELS)).classification_report()
    lines = text.splitlines()
    assert lines[0].split() == [
        "precision",
        "recall",
        "f1-score",
        *["average", "precision", "support"],
    ]
    assert [line.split()[0] for line in lines[2:11]] == LABELS
    assert lines[10].split()[2:] == ["-", "-", "-", "0"] or lines[10].split()[1] == "0.00"
    assert lines[-1] == "No pictures of: song"
    assert len({len(line) for line in lines[2:11]}) == 1


def test_arrays_give_what_a_learner_gives(stored_learner, known):
    outputs, targets = known
    expected = of(stored_learner(outputs, targets, BCEWithLogitsLossFlat(), LABELS))
    for probs, targs in (
        (outputs.sigmoid(), targets),
        (outputs.sigmoid().numpy(), targets.bool().numpy()),
    ):
        interp = MultiLabelInterpretation.from_arrays(probs, targs, vocab=LABELS)
        torch.testing.assert_close(interp.losses, expected.losses)
        assert torch.equal(interp.rows.counts.counts, expected.rows.counts.counts)
        assert torch.equal(interp.rows.decoded, expected.rows.decoded)
    make = MultiLabelInterpretation.from_arrays
    with pytest.raises(DataError, match=r"torch\.sigmoid for several labels"):
        make(outputs, targets)
    with pytest.raises(DataError, match=r"shape \[40, 8\]"):
        make(outputs.sigmoid(), targets[:, :8])
    with pytest.raises(DataError, match="have other values"):
        make(outputs.sigmoid(), targets * 2)


def test_what_does_not_fit(stored_learner, known):
    outputs, targets = known
    with pytest.raises(DataError, match=r"\[\[4, 9\], \[4\]\].*ClassificationInterpretation"):
        of(stored_learner(outputs, targets.argmax(1)))
    with pytest.raises(DataError, match=r"go from .* no probabilities.*act=torch\.sigmoid"):
        of(stored_learner(outputs, targets, lambda p, y: (p - y).abs().mean()))
    with pytest.raises(DataError, match="tells 9 classes apart, but the data has 2"):
        of(stored_learner(outputs, targets, BCEWithLogitsLossFlat(), ["a", "b"]))


def labels_of(path):
    return [path.parent.name, *(["even"] if path.stem[-1] in "02468" else [])]


def test_pictures_with_several_labels(picture_folder):
    block = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock),
        get_items=get_image_files,
        get_y=labels_of,
        splitter=EndSplitter(0.5),
        item_tfms=Resize(16),
    )
    dls = block.dataloaders(picture_folder, bs=8, num_workers=0)
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    interp = of(Learner(dls, net))
    assert interp.vocab == ["cat", "dog", "even"]
    row = int(interp.top_rows(1)[1])
    path = dls.valid_ds.items[row]
    assert interp.names_of(row)[1] == "; ".join(sorted(labels_of(path)))
    title = interp.plot_top_losses(2)[0].get_title()
    assert path.name in title
    assert interp.plot_precision_recall().get_xlabel() and interp.plot_per_class() is not None


def test_a_model_that_answers_with_nan_is_said_to_have_diverged(stored_learner):
    learn = stored_learner(
        torch.full((4, 3), torch.nan), torch.eye(4)[:, :3], nn.BCEWithLogitsLoss()
    )
    with pytest.raises(DataError, match="answers with NaN.*weights have diverged"):
        MultiLabelInterpretation.from_learner(learn)
