import json
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from presize.augment.presets import Normalize, aug_transforms, imagenet_stats
from presize.core.errors import ModelFileError, TrainingError
from presize.core.transform import Transform
from presize.data.folders import ImageDataLoaders
from presize.data.items import get_image_files
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.deploy.load import load_learner
from presize.deploy.registry import build_transform, picture_kind
from presize.learner import Learner
from presize.models.zoo import resnet18
from presize.train.losses import CrossEntropyLossFlat, LabelSmoothingCrossEntropy
from presize.train.model_file import ModelFile
from presize.train.state import load_state, save_state
from presize.vision.learner import vision_learner


@pytest.fixture
def learn(picture_folder, tmp_path):
    dls = ImageDataLoaders.from_folder(
        picture_folder,
        item_tfms=Resize(48),
        batch_tfms=[*aug_transforms(size=32), Normalize.from_stats(*imagenet_stats)],
        bs=8,
        num_workers=0,
    )
    return vision_learner(dls, resnet18, cut=3, pretrained=False, lin_ftrs=[4], path=tmp_path)


def test_a_loaded_model_answers_as_the_original(learn, picture_folder):
    files = get_image_files(picture_folder / "valid")
    expected = learn.get_preds(dl=learn.dls.test_dl(files))[0]
    again = load_learner(learn.export("model"))
    assert again.dls.vocab == ["cat", "dog"]
    assert torch.allclose(again.get_preds(dl=again.dls.test_dl(files))[0], expected, atol=1e-6)
    label, number, chances = again.predict(files[0])
    assert torch.allclose(chances, expected[0], atol=1e-6)
    assert (str(label), int(number)) == (["cat", "dog"][expected[0].argmax()], expected[0].argmax())


def test_predict_takes_paths_pictures_and_arrays(learn, picture_folder):
    file = get_image_files(picture_folder / "valid")[0]
    again = load_learner(learn.export())
    picture = Image.open(file).convert("RGB")
    answers = [again.predict(v)[2] for v in (file, str(file), picture, np.asarray(picture))]
    answers.append(again.predict(file.read_bytes())[2])
    for answer in answers[1:]:
        assert torch.allclose(answer, answers[0], atol=1e-6)


def test_the_file_holds_json_and_no_code(learn):
    path = learn.export()
    with safe_open(path, framework="pt") as file:
        text = json.dumps(file.metadata())
    for name in ("resnet18", "Resize", "Normalize", "Categorize", "PILImage", "sha256"):
        assert name in text


def test_a_changed_weight_is_noticed(learn):
    path = learn.export()
    tensors, meta = load_state(path)
    tensors[next(iter(tensors))].add_(1)
    save_state(path, tensors=tensors, meta=meta)
    with pytest.raises(ModelFileError, match="changed or damaged since it was written"):
        load_learner(path)


def test_a_newer_format_asks_for_an_upgrade(learn):
    path = learn.export()
    tensors, meta = load_state(path)
    save_state(path, tensors=tensors, meta=meta | {"format": 99})
    with pytest.raises(ModelFileError, match="reads formats up to 3"):
        load_learner(path)


def test_foreign_files_are_refused(learn, tmp_path):
    save_file({"w": torch.zeros(1)}, tmp_path / "plain.safetensors")
    with pytest.raises(ModelFileError, match="holds weights alone"):
        load_learner(tmp_path / "plain.safetensors")
    torch.save({"w": torch.zeros(1)}, tmp_path / "old.pkl")
    with pytest.raises(ModelFileError, match="is a pickle"):
        load_learner(tmp_path / "old.pkl")
    with pytest.raises(ModelFileError, match="not an exported model"):
        load_learner(learn.save("weights"))
    path = learn.export()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelFileError, match="no complete .safetensors file"):
        load_learner(path)


def test_unknown_names_are_refused_with_near_ones():
    with pytest.raises(ModelFileError, match="Did you mean `Resize`"):
        build_transform("Resise", {"size": 3})
    with pytest.raises(ModelFileError, match="not valid"):
        build_transform("Resize", {"size": "os.system"})
    with pytest.raises(ModelFileError, match="Did you mean `PILImage`"):
        picture_kind("PILImag")


def test_a_network_of_ones_own_is_passed_in(picture_folder, tmp_path):
    dls = ImageDataLoaders.from_folder(picture_folder, item_tfms=Resize(8), bs=8, num_workers=0)

    def net():
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))

    learn = Learner(dls, net(), path=tmp_path)
    path = learn.export()
    with pytest.raises(ModelFileError, match=r"pass it: load_learner\(path, model="):
        load_learner(path)
    file = get_image_files(picture_folder)[0]
    assert torch.allclose(load_learner(path, model=net()).predict(file)[2], learn.predict(file)[2])


def test_what_cannot_be_described_is_not_exported(picture_folder, tmp_path):
    def invert(x: torch.Tensor) -> torch.Tensor:
        return 1 - x

    dls = ImageDataLoaders.from_folder(
        picture_folder, item_tfms=Resize(32), batch_tfms=Transform(invert), bs=8, num_workers=0
    )
    learn = vision_learner(dls, resnet18, cut=3, pretrained=False, lin_ftrs=[4], path=tmp_path)
    with pytest.raises(ModelFileError, match="invert` cannot be put into a model file"):
        learn.export()
    batches = [(torch.zeros(2, 3), torch.tensor([0, 1]))]
    foreign = Learner(DataLoaders(batches, batches), nn.Linear(3, 2), nn.CrossEntropyLoss())
    with pytest.raises(ModelFileError, match="Build it with a DataBlock"):
        foreign.export()


def test_reading_a_model_file_builds_nothing(learn):
    file = ModelFile.read(learn.export())
    assert file.architecture["name"] == "resnet18"
    assert file.data["task"] == "classification"
    assert set(file.versions) == {"presize", "torch"}


def test_the_options_of_the_loss_are_kept(learn):
    learn.loss_func = LabelSmoothingCrossEntropy(0.3, weight=torch.tensor([1.0, 2.0]))
    loss = load_learner(learn.export()).loss_func
    assert (type(loss), loss.spec()) == (LabelSmoothingCrossEntropy, learn.loss_func.spec())


def test_a_loss_of_ones_own_is_announced_as_lost(learn):
    class Mine(nn.CrossEntropyLoss):
        def activation(self, x):
            return x.sigmoid()

    learn.loss_func = Mine()
    with pytest.warns(UserWarning, match=r"`Mine` is not one of presize's.*learn.loss_func ="):
        path = learn.export()
    assert type(load_learner(path).loss_func) is CrossEntropyLossFlat


@pytest.mark.parametrize(
    ("loss", "lost"),
    [
        (nn.MultiMarginLoss(), True),  # the loaded one makes a softmax of its scores
        (nn.BCEWithLogitsLoss(), True),
        (nn.CrossEntropyLoss(), False),
        (F.cross_entropy, False),
        (nn.NLLLoss(), False),
    ],
)
def test_a_loss_whose_outputs_would_be_read_otherwise_is_announced(learn, loss, lost):
    learn.loss_func = loss
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        learn.export()
    assert ["is not one of presize's" in str(warning.message) for warning in said] == [True] * lost


def test_a_name_for_a_pickle_gets_the_files_own_ending(learn):
    assert learn.export("export.pkl").name == "export.safetensors"
    assert learn.export("v1.2").name == "v1.2.safetensors"


def test_a_loaded_learner_says_what_it_has_not(learn, picture_folder):
    files = get_image_files(picture_folder / "valid")
    again = load_learner(learn.export())
    with pytest.raises(ModelFileError, match=r"does not hold how labels are found \(get_y"):
        again.validate(dl=again.dls.test_dl(files, with_labels=True))
    with pytest.raises(TrainingError, match="A learner that was loaded from a model file"):
        again.fit(1)
    assert list(again.validate(dl=learn.dls.valid)) == pytest.approx(list(learn.validate()))
    assert load_learner(again.export("again")).predict(files[0])[0] == again.predict(files[0])[0]


def test_labels_that_were_decided_are_of_no_use_to_a_prediction(picture_folder, tmp_path):
    file = get_image_files(picture_folder / "train/cat")[0]
    decisions = tmp_path / "decisions.csv"
    decisions.write_text(f"file,decision,label\n{file},relabel,dog\n", encoding="utf-8")
    dls = ImageDataLoaders.from_folder(
        picture_folder, item_tfms=Resize(32), bs=8, num_workers=0, decisions=decisions
    )
    learn = vision_learner(dls, resnet18, cut=3, pretrained=False, lin_ftrs=[4], path=tmp_path)
    expected = learn.predict(file)
    label, _, chances = load_learner(learn.export("corrected")).predict(file)
    assert label == expected[0]
    assert torch.allclose(chances, expected[2], atol=1e-6)


def test_a_header_that_was_changed_by_hand_is_refused(learn):
    path = learn.export()
    tensors, meta = load_state(path)
    save_state(path, tensors=tensors, meta=meta | {"loss": "FocalLoss"})
    with pytest.raises(ModelFileError, match="the SHA-256 of its header is not the one"):
        load_learner(path)
    del meta["sha256_header"]  # as older files are
    wrong = dict.fromkeys(("format", "architecture", "data", "versions", "sha256"))
    for name, value in [*wrong.items(), ("format", "1"), ("architecture", "resnet18")]:
        save_state(path, tensors=tensors, meta=meta | {name: value})
        with pytest.raises(ModelFileError, match=f"is not valid: it does not say {name} "):
            load_learner(path)
    for training in ([], "much", {"fits": 3}, {"environment": ["linux"]}):
        save_state(path, tensors=tensors, meta=meta | {"training": training})
        with pytest.raises(ModelFileError, match="says of how its model was trained is not valid"):
            load_learner(path)
    # Written before there was such a record.
    save_state(path, tensors=tensors, meta={k: v for k, v in meta.items() if k != "training"})
    assert load_learner(path).calibration is None
