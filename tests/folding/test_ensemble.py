import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.folding.crossval import cross_validate
from presize.folding.ensemble import Ensemble
from presize.learner import Learner


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.label, self.other = nn.Linear(192, 2), nn.Linear(192, 3)

    def forward(self, x):
        return self.label(x.flatten(1)), self.other(x.flatten(1))


class Both(nn.Module):
    def forward(self, preds, target):
        return F.cross_entropy(preds[0], target) + preds[1].mean() ** 2

    def activation(self, preds):
        return preds[0].softmax(1), preds[1]

    def decodes(self, preds):
        return preds[0].argmax(1)


@pytest.fixture
def dls(picture_folder):
    return ImageDataLoaders.from_folder(
        picture_folder, item_tfms=Resize(8), bs=8, num_workers=0, device="cpu"
    )


def test_models_of_several_outputs_answer_together(dls):
    result = cross_validate(
        dls, learner=lambda dls: Learner(dls, TwoHeads(), loss_func=Both()),
        fit=lambda learn: None, k=2, verbose=False,
    )  # fmt: skip
    labels, other = result.preds
    assert labels.shape == (36, 2) and torch.allclose(labels.sum(1), torch.ones(36))
    assert other.shape == (36, 3) and torch.equal(result.decoded, labels.argmax(1))
    dl = dls.test_dl(list(result.items))
    (labels, other), _ = result.ensemble.get_preds(dl)
    xs = torch.cat([x for (x,) in dl]).as_subclass(torch.Tensor)
    with torch.no_grad():
        outputs = [model(xs) for model in result.ensemble.models]
    mean = torch.stack([label for label, _ in outputs]).mean(0)
    assert torch.allclose(labels, mean.softmax(1), atol=1e-6)
    assert torch.allclose(other, torch.stack([o for _, o in outputs]).mean(0), atol=1e-6)


def test_a_calibration_that_is_not_saved_is_announced_as_lost(dls, tmp_path):
    models = [nn.Sequential(nn.Flatten(), nn.Linear(192, 2)) for _ in range(2)]
    ensemble = Ensemble(Learner(dls, models[0], path=tmp_path), models)
    ensemble.save(tmp_path / "plain")
    with pytest.warns(UserWarning, match="A t"):
        ensemble.learn.calibrate()
    with pytest.warns(UserWarning, match=r"not saved: it is of all models.*learn.calibrate\(dl\)"):
        ensemble.save(tmp_path / "calibrated")


def test_a_loss_that_is_set_later_says_what_the_mean_is_of(dls):
    models = [nn.Sequential(nn.Flatten(), nn.Linear(192, 2)) for _ in range(3)]
    ensemble = Ensemble(Learner(dls, models[0]), models)
    ensemble.learn.loss_func = nn.MultiMarginLoss()
    preds, _ = ensemble.get_preds()
    single = [Learner(dls, m, loss_func=nn.MultiMarginLoss()).get_preds()[0] for m in models]
    assert torch.allclose(preds, torch.stack(single).mean(0), atol=1e-6)
