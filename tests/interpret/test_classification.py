import pytest
import torch

from presize.core.errors import DataError
from presize.data.folders import ImageDataLoaders
from presize.data.items import get_image_files
from presize.data.resize import Resize
from presize.interpret.classification import ClassificationInterpretation
from presize.models.zoo import resnet18
from presize.train.metrics import accuracy
from presize.vision.learner import vision_learner


@pytest.fixture
def learn(picture_folder):
    dls = ImageDataLoaders.from_folder(picture_folder, item_tfms=Resize(32), bs=8, num_workers=0)
    return vision_learner(dls, resnet18, pretrained=False, metrics=accuracy)


def test_figures_agree_with_those_of_the_learner(learn):
    with learn.no_logging():
        learn.fit_one_cycle(1, 1e-2)
    interp = ClassificationInterpretation.from_learner(learn)
    matrix = interp.confusion_matrix()
    assert matrix.sum() == 12
    assert matrix.trace() / 12 == pytest.approx(learn.recorder.values[-1][2])
    assert interp.losses.mean().item() == pytest.approx(learn.recorder.values[-1][1], rel=1e-4)
    wrong = sum(count for _, _, count in interp.most_confused())
    assert wrong == 12 - matrix.trace()
    assert "cat" in interp.classification_report()


def test_top_losses_are_drawn_with_file_names(learn):
    interp = ClassificationInterpretation.from_learner(learn)
    losses, indices = interp.top_losses(3)
    assert torch.equal(losses, interp.losses.sort(descending=True).values[:3])
    assert torch.equal(interp.losses[indices], losses)
    figure = interp.plot_top_losses(3)
    title = figure.axes[0].get_title()
    label = learn.dls.vocab[int(interp.targs[indices[0]])]
    assert f"/ {label}\n{losses[0]:.2f} / " in title
    assert learn.dls.valid_ds.items[int(indices[0])].name in title
    assert interp.top_losses(largest=False).__len__() == 2


def test_a_test_set_without_targets_cannot_be_interpreted(learn, picture_folder):
    dl = learn.dls.test_dl(get_image_files(picture_folder / "valid"))
    with pytest.raises(DataError, match="with_labels=True"):
        ClassificationInterpretation.from_learner(learn, dl=dl)


def test_an_empty_loader_has_nothing_to_tell(learn):
    with pytest.raises(DataError, match="the loader has no items"):
        ClassificationInterpretation.from_learner(learn, dl=[])
