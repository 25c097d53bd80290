"""Predictions on disk: what is read is what was written, and nothing else is taken for it."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from presize.core.errors import DataError, ModelFileError
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.interpret.choice import interpret, load_interpretation
from presize.interpret.classification import ClassificationInterpretation
from presize.interpret.interpretation import Interpretation
from presize.interpret.multilabel import MultiLabelInterpretation
from presize.learner import Learner
from presize.train.state import load_state, save_state


@pytest.fixture
def dls(picture_folder):
    return ImageDataLoaders.from_folder(picture_folder, item_tfms=Resize(16), bs=8, num_workers=0)


@pytest.fixture
def learn(dls):
    return Learner(dls, nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 2)))


def same(one, other):
    first, second = one.tensors(), other.tensors()
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )


def test_a_classifier_comes_back_with_its_files(learn, tmp_path):
    interp = interpret(learn)
    assert type(interp) is ClassificationInterpretation
    path = interp.save(tmp_path / "predictions")
    assert path.name == "predictions.safetensors"
    read = ClassificationInterpretation.load(path)
    assert same(read, interp) and read.vocab == ["cat", "dog"]
    assert read.files == interp.files and torch.equal(read.indices, interp.indices)
    assert read.learn is None and read.dl is None
    assert read.classification_report() == interp.classification_report()
    assert read.notes == interp.notes
    assert len(read.plot_top_losses(3)) == 3  # pictures are those of the files
    with pytest.raises(DataError, match=r"Heat maps ask the model.*learn=learn"):
        read.heat_maps([0])


def test_beside_the_learner_the_pictures_are_as_it_sees_them(learn, tmp_path):
    interp = interpret(learn)
    path = interp.save(tmp_path / "predictions.safetensors")
    read = load_interpretation(path, learn)
    assert torch.equal(read.inputs([4, 1]), interp.inputs([4, 1]))
    assert read.picture(2).tobytes() == interp.picture(2).tobytes()
    assert read.learn is learn


def test_other_data_is_refused(learn, dls, tmp_path):
    path = interpret(learn, ds_idx=0).save(tmp_path / "of_training")
    assert len(load_interpretation(path, learn)) == 24
    other = learn.dls.test_dl(dls.train_ds.items[::-1], with_labels=True)
    with pytest.raises(DataError, match=r"item 0 was .*0\.jpg, and is .*9\.jpg now"):
        load_interpretation(path, learn, dl=other)
    own = interpret(learn, dl=dls.valid).save(tmp_path / "own")
    assert load_interpretation(own).items.split == "the loader"


def test_a_learner_without_data_reads_the_files(learn, tmp_path):
    path = interpret(learn).save(tmp_path / "predictions")
    expected = interpret(learn).inputs([3])
    learn.dls = learn.dls.new_empty()
    read = load_interpretation(path, learn)
    torch.testing.assert_close(read.inputs([3]), expected)


def test_items_that_are_no_files(stored_learner, answers, tmp_path):
    learn = stored_learner(*answers)
    path = interpret_classes(learn).save(tmp_path / "numbers")
    read = load_interpretation(path)
    assert read.files[3] == "number 3 of valid" and read.items.paths[3] is None
    with pytest.raises(DataError, match="no picture of number 3 of valid"):
        read.picture(3)
    assert torch.equal(load_interpretation(path, learn).inputs([3]), torch.tensor([3]))


def interpret_classes(learn):
    return ClassificationInterpretation.from_learner(learn)


def test_odd_names_come_back(tmp_path):
    names = ["a\nb.jpg", "<script>.jpg", "größe.jpg", "bad\udcff.jpg", ""]
    probs = torch.eye(5).mul(3).softmax(1)
    interp = ClassificationInterpretation.from_arrays(probs, range(5), files=names)
    read = load_interpretation(interp.save(tmp_path / "odd"))
    assert read.files == names


def test_labels_and_losses_come_back(stored_learner, tmp_path):
    targets = (torch.arange(24).view(8, 3) % 5 < 2).float()
    interp = MultiLabelInterpretation.from_arrays(torch.rand(8, 3), targets, vocab=list("abc"))
    read = load_interpretation(interp.save(tmp_path / "labels"))
    assert type(read) is MultiLabelInterpretation
    assert same_text(read, interp) and read.names_of(0) == interp.names_of(0)
    learn = stored_learner(torch.rand(8, 1), torch.rand(8, 1), nn.MSELoss())
    interp = interpret(learn)
    read = load_interpretation(interp.save(tmp_path / "losses"))
    assert type(read) is type(interp) is Interpretation and same(read, interp)


def same_text(one, other):
    return one.classification_report() == other.classification_report()


def test_files_of_something_else(learn, tmp_path):
    path = interpret(learn).save(tmp_path / "classes")
    with pytest.raises(ModelFileError, match=r"holds classification.*load_interpretation"):
        MultiLabelInterpretation.load(path)
    with pytest.raises(ModelFileError, match=r"is a presize learner, and no predictions"):
        load_interpretation(learn.save(tmp_path / "weights"))
    save_file({"w": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ModelFileError, match="presize did not write it"):
        load_interpretation(tmp_path / "foreign.safetensors")
    with pytest.raises(FileNotFoundError, match=r"Did you mean `classes\.safetensors`"):
        load_interpretation(tmp_path / "clases.safetensors")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ModelFileError, match="no complete"):
        load_interpretation(path)


def test_files_that_were_changed(learn, tmp_path):
    path = interpret(learn).save(tmp_path / "classes")
    tensors, meta = load_state(path)
    wrong = {
        "file names and 12 positions for 12": {"files": tensors["files"][:50]},
        "do not go together": {"losses": tensors["losses"], "targs": tensors["targs"] + 5},
        "positions for 12 items": {"indices": tensors["indices"][:3]},
    }
    for words, parts in wrong.items():
        save_state(path, tensors={**tensors, **parts}, meta=meta)
        with pytest.raises(ModelFileError, match=words):
            load_interpretation(path)
    for name in ("files", "losses"):
        fewer = {key: value for key, value in tensors.items() if key != name}
        save_state(path, tensors=fewer, meta=meta)
        with pytest.raises(ModelFileError, match=f"lacks {name}: it was changed"):
            load_interpretation(path)
    for name, value in {"format": "1", "of": [], "split": {}}.items():
        save_state(path, tensors=tensors, meta=meta | {name: value})
        with pytest.raises(ModelFileError, match=f"lacks {name}: it was changed"):
            load_interpretation(path)
    floats, flat = tensors["targs"].float(), tensors["losses"][0]
    for parts in ({"targs": floats}, {"top_classes": flat}, {"more": flat}):
        save_state(path, tensors={**tensors, **parts}, meta=meta)
        with pytest.raises(ModelFileError, match="does not go together: .*make it again"):
            load_interpretation(path)
    save_state(path, tensors=tensors, meta={k: v for k, v in meta.items() if k != "of"})
    with pytest.raises(ModelFileError, match="lacks of"):
        load_interpretation(path)
    save_state(path, tensors=tensors, meta={**meta, "vocab": None})
    with pytest.raises(ModelFileError, match="does not go together"):
        load_interpretation(path)
    save_state(path, tensors=tensors, meta={**meta, "format": 9})
    with pytest.raises(ModelFileError, match="upgrade presize"):
        load_interpretation(path)
    save_state(path, tensors=tensors, meta={**meta, "of": "tea leaves"})
    with pytest.raises(ModelFileError, match="'tea leaves', which this presize does not know"):
        load_interpretation(path)
    assert load_file(path).keys() == tensors.keys()
