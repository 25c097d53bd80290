import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.core.errors import ModelFileError
from presize.data.folders import ImageDataLoaders
from presize.data.items import get_image_files
from presize.data.resize import Resize
from presize.deploy.ensemble import load_ensemble
from presize.deploy.load import load_learner
from presize.folding.ensemble import Ensemble
from presize.learner import Learner


def network():
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 2))


@pytest.fixture
def ensemble(picture_folder, tmp_path):
    dls = ImageDataLoaders.from_folder(
        picture_folder, item_tfms=Resize(16), bs=8, num_workers=0, device="cpu"
    )
    learn = Learner(dls, network(), path=tmp_path / "elsewhere")
    return Ensemble(learn, [network() for _ in range(3)])


def test_a_loaded_ensemble_answers_as_the_original(ensemble, picture_folder, tmp_path):
    folder = ensemble.save(tmp_path / "pets")
    assert sorted(p.name for p in folder.iterdir()) == [
        "ensemble.json", "fold_1.safetensors", "fold_2.safetensors", "fold_3.safetensors",
    ]  # fmt: skip
    assert not (tmp_path / "elsewhere").exists()
    again = load_ensemble(folder, model=network())
    assert len(again) == 3 and again.vocab == ["cat", "dog"]
    files = get_image_files(picture_folder / "valid")
    wanted, got = (e.get_preds(e.test_dl(files))[0] for e in (ensemble, again))
    assert torch.allclose(got, wanted, atol=1e-6)
    label, number, probs = again.predict(files[0])
    assert torch.allclose(probs, wanted[0], atol=1e-6)
    assert (label, int(number)) == (["cat", "dog"][wanted[0].argmax()], int(wanted[0].argmax()))
    # Each file is a model by itself.
    one = load_learner(folder / "fold_2.safetensors", model=network())
    single = one.get_preds(dl=one.dls.test_dl(files))[0]
    x = torch.cat([x for (x,) in one.dls.test_dl(files)]).as_subclass(torch.Tensor)
    with torch.no_grad():
        assert torch.allclose(single, ensemble.models[1](x).softmax(1), atol=1e-6)


class OneAgainstAll(nn.Module):
    def forward(self, pred, target):
        return F.binary_cross_entropy_with_logits(pred, F.one_hot(target, 2).float())

    def activation(self, x):
        return x.sigmoid()

    def decodes(self, x):
        return x.argmax(1)


def test_a_loss_of_the_users_own_is_that_of_the_mean(ensemble, picture_folder, tmp_path):
    ensemble.learn.loss_func = OneAgainstAll()
    with pytest.warns(UserWarning, match="OneAgainstAll"):
        folder = ensemble.save(tmp_path)
    files = get_image_files(picture_folder / "valid")
    xs = torch.cat([x for (x,) in ensemble.test_dl(files)]).as_subclass(torch.Tensor)
    with torch.no_grad():
        wanted = torch.stack([model(xs).sigmoid() for model in ensemble.models]).mean(0)
    given = load_ensemble(folder, model=network(), loss_func=OneAgainstAll())
    later = load_ensemble(folder, model=network())
    later.learn.loss_func = OneAgainstAll()
    for one in (ensemble, given, later):
        assert torch.allclose(one.get_preds(one.test_dl(files))[0], wanted, atol=1e-6)
    with pytest.raises(TypeError, match="loss_func got the class OneAgainstAll"):
        load_ensemble(folder, model=network(), loss_func=OneAgainstAll)


def test_a_smaller_ensemble_does_not_mix_with_an_older_one(ensemble, tmp_path):
    ensemble.save(tmp_path)
    Ensemble(ensemble.learn, ensemble.models[:2]).save(tmp_path)
    assert len(load_ensemble(tmp_path, model=network())) == 2


def test_a_loaded_ensemble_can_be_saved_again(ensemble, picture_folder, tmp_path):
    first = load_ensemble(ensemble.save(tmp_path / "a"), model=network())
    again = load_ensemble(first.save(tmp_path / "b"), model=network())
    file = get_image_files(picture_folder)[0]
    assert torch.allclose(again.predict(file)[2], ensemble.predict(file)[2], atol=1e-6)


def test_what_is_no_ensemble_is_told(ensemble, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no ensemble in .*`ensemble.json`, which"):
        load_ensemble(tmp_path / "nowhere")
    folder = ensemble.save(tmp_path / "pets")
    with pytest.raises(ModelFileError, match="a network of its author's own"):
        load_ensemble(folder)
    for text, why in (
        ("{", "is not the list of"),
        ('{"models": []}', "has to name model files"),
        ('{"models": ["../fold_1.safetensors"]}', "has to name model files beside it"),
        ("[]", "is not the list of"),
    ):
        (folder / "ensemble.json").write_text(text, encoding="utf-8")
        with pytest.raises(ModelFileError, match=why):
            load_ensemble(folder, model=network())
    (folder / "ensemble.json").write_text(json.dumps({"models": ["no.safetensors"]}), "utf-8")
    with pytest.raises(FileNotFoundError, match=r"no.safetensors"):
        load_ensemble(folder, model=network())


def test_models_of_other_classes_are_refused(ensemble, picture_folder, tmp_path):
    folder = ensemble.save(tmp_path / "pets")
    dls = ImageDataLoaders.from_folder(
        picture_folder, vocab=["cat", "dog", "owl"], item_tfms=Resize(16), bs=8, num_workers=0,
        device="cpu",
    )  # fmt: skip
    Learner(dls, network(), path=folder).export("fold_2.safetensors")
    with pytest.raises(ModelFileError, match=r"not of one task: model 2 has .*'owl'"):
        load_ensemble(folder, model=network())
