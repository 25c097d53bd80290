"""`presize predict` with a model that can tell what is none of its classes."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from presize.cli import app
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.models.zoo import resnet18
from presize.vision.learner import vision_learner


@pytest.fixture
def learn(picture_folder, tmp_path):
    dls = ImageDataLoaders.from_folder(
        picture_folder, item_tfms=Resize(32), bs=8, num_workers=0, device="cpu"
    )
    return vision_learner(dls, resnet18, pretrained=False, path=tmp_path)


@pytest.mark.filterwarnings("ignore:A t")
def test_what_is_none_of_the_classes_is_said_with_the_nearest(learn, picture_folder):
    found = learn.calibrate(coverage=0.5)
    pictures = sorted((picture_folder / "valid").rglob("*.jpg"))
    preds, _, is_unknown = learn.get_preds(with_unknown=True)
    assert 0 < int(is_unknown.sum()) < len(pictures)
    model = str(learn.export("model"))
    result = CliRunner().invoke(app, ["predict", "--json", model, *map(str, pictures)])
    assert result.exit_code == 0, result.output
    answers = {answer["file"]: answer for answer in json.loads(result.stdout)}
    rows = zip(learn.dls.valid.dataset.items, preds.tolist(), is_unknown.tolist(), strict=True)
    for file, row, unknown in rows:
        answer = answers[str(file)]
        assert answer["unknown"] is unknown
        assert answer["labels"] == [["cat", "dog"][row[1] > row[0]]]
        assert answer["probabilities"]["cat"] == pytest.approx(row[0], abs=1e-4)
    # Nothing is known to this one, and all to the next.
    for threshold, said in ((-1.0, True), (1.0, False)):
        learn.calibration = replace(found, threshold=threshold)
        model = str(learn.export("model"))
        table = CliRunner().invoke(app, ["predict", model, str(pictures[0])]).output
        assert ("none of these (nearest: " in " ".join(table.split())) is said


def test_a_model_that_cannot_tell_says_nothing_of_it(learn, picture_folder):
    picture = str(picture_folder / "valid/cat/0.jpg")
    result = CliRunner().invoke(app, ["predict", "--json", str(learn.export()), picture])
    assert "unknown" not in json.loads(result.stdout)[0]
