import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.core.errors import DataError
from presize.data.folders import ImageDataLoaders
from presize.data.items import get_image_files
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.deploy.load import load_learner
from presize.interpret.classification import ClassificationInterpretation
from presize.learner import Learner
from presize.train.calibration import Calibration
from presize.train.calibration_error import ProbabilityFigures
from presize.train.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat
from presize.train.metrics import accuracy

of = ClassificationInterpretation.from_learner


def small_net():
    steps = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.BatchNorm2d(8)]
    return nn.Sequential(*steps, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))


@pytest.fixture
def learn(picture_folder):
    dls = ImageDataLoaders.from_folder(picture_folder, item_tfms=Resize(32), bs=8, num_workers=0)
    return Learner(dls, small_net(), metrics=accuracy)


# ---- figures: against get_preds and plain PyTorch ----------------------------------------------


def test_what_is_kept_is_what_the_learner_answers(stored_learner, answers):
    outputs, targets = answers
    learn = stored_learner(outputs, targets)
    interp = of(learn)
    preds, targs, decoded, losses = learn.get_preds(with_decoded=True, with_loss=True)
    expected = F.softmax(outputs, 1).sort(1, descending=True)
    torch.testing.assert_close(interp.top_probs, expected.values[:, :5])
    assert torch.equal(interp.top_classes, expected.indices[:, :5])
    torch.testing.assert_close(interp.target_probs, preds[range(30), targets])
    assert torch.equal(interp.targs, targs) and torch.equal(interp.decoded, decoded)
    assert torch.equal(interp.losses, losses)
    assert torch.equal(interp.confidences, preds.amax(1))
    assert interp.indices.tolist() == list(range(30))
    assert interp.vocab == list(range(7)) and interp.notes == []
    kinds = (interp.targs, interp.decoded, interp.indices, interp.top_classes)
    assert {t.dtype for t in kinds} == {torch.int64}
    assert (interp.losses.dtype, interp.top_probs.dtype) == (torch.float32, torch.float32)
    assert interp.accuracy == pytest.approx((preds.argmax(1) == targets).float().mean().item())
    assert "30 items" in repr(interp) and len(interp) == 30


def test_figures_agree_with_those_of_the_learner(learn):
    with learn.no_logging():
        learn.fit_one_cycle(1, 1e-2)
    interp = of(learn)
    matrix = interp.confusion_matrix()
    assert matrix.sum() == 12
    assert matrix.trace() / 12 == pytest.approx(learn.recorder.values[-1][2])
    assert interp.losses.mean().item() == pytest.approx(learn.recorder.values[-1][1], rel=1e-4)
    wrong = sum(count for _, _, count in interp.most_confused())
    assert wrong == 12 - matrix.trace()
    assert "cat" in interp.classification_report()


def test_asking_leaves_the_learner_as_it_was(learn):
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    loss_func, cbs = learn.loss_func, list(learn.cbs)
    learn.model.train()
    of(learn)
    assert learn.loss_func is loss_func and loss_func.reduction == "mean"
    assert list(learn.cbs) == cbs
    assert all(torch.equal(before[name], v) for name, v in learn.model.state_dict().items())


def test_less_than_five_classes_are_all_kept(stored_learner):
    interp = of(stored_learner(torch.eye(3), [0, 1, 1]))
    assert interp.top_probs.shape == (3, 3)
    torch.testing.assert_close(interp.top_probs.sum(1), torch.ones(3))


def test_of_equal_classes_the_predicted_one_comes_first(stored_learner):
    learn = stored_learner(torch.zeros(6, 9), [0] * 6)
    interp = of(learn)
    assert torch.equal(interp.top_classes[:, 0], learn.get_preds(with_decoded=True)[2])
    assert (interp.confidences == F.softmax(torch.zeros(9), 0)[0]).all()


def test_the_probability_of_one_output_is_that_of_the_second_class(stored_learner):
    outputs, targets = torch.tensor([[2.0], [-1.0], [0.5]]), torch.tensor([1, 0, 0])
    interp = of(stored_learner(outputs, targets, BCEWithLogitsLossFlat(), ["no", "yes"]))
    assert interp.decoded.tolist() == [1, 0, 1]
    torch.testing.assert_close(interp.confidences, torch.tensor([2.0, 1.0, 0.5]).sigmoid())
    assert interp.confusion_matrix().tolist() == [[1, 1], [0, 1]]
    torch.testing.assert_close(interp.losses[0], -outputs[0, 0].sigmoid().log())
    loss = lambda pred, y: (pred[:, 0].sigmoid() - y).abs()  # noqa: E731
    with pytest.raises(DataError, match=r"goes from -1 to 2.*act=torch\.sigmoid"):
        of(stored_learner(outputs, targets, loss, ["no", "yes"]))
    own = of(stored_learner(outputs, targets, loss, ["no", "yes"]), act=torch.sigmoid)
    assert torch.equal(own.decoded, interp.decoded)


def test_items_to_be_ignored_have_no_row(stored_learner):
    outputs = torch.eye(3).repeat(2, 1)
    learn = stored_learner(outputs, [0, 1, -100, 0, -100, 1], CrossEntropyLossFlat(), list("abc"))
    interp = of(learn)
    assert interp.indices.tolist() == [0, 1, 3, 5]
    assert interp.targs.tolist() == [0, 1, 0, 1] and interp.decoded.tolist() == [0, 1, 0, 2]
    assert interp.files[2] == "number 3 of valid"


def test_a_picture_that_cannot_be_read_has_no_row_and_is_told(picture_folder):
    broken = sorted((picture_folder / "valid" / "cat").iterdir())[1]
    broken.write_bytes(b"no picture")
    dls = ImageDataLoaders.from_folder(
        picture_folder, item_tfms=Resize(16), bs=8, num_workers=0, on_bad="skip"
    )
    with pytest.warns(match="left out"), pytest.warns(match=f"has no row.*{broken.name}"):
        interp = of(Learner(dls, small_net()))
    assert len(interp) == 11 and str(broken) not in interp.files
    paths = [str(dls.valid_ds.items[i]) for i in interp.indices.tolist()]
    assert interp.files == paths


def test_the_temperature_of_a_calibrated_learner_counts(stored_learner, answers):
    outputs, targets = answers
    learn = stored_learner(outputs, targets)
    plain = of(learn)
    figures = ProbabilityFigures(ece=0.1, brier=0.1, nll=0.1)
    learn.calibration = Calibration(temperature=2.0, n=30, before=figures, after=figures)
    interp = of(learn)
    torch.testing.assert_close(interp.confidences, F.softmax(outputs / 2, 1).amax(1))
    assert torch.equal(interp.losses, plain.losses)


def test_outputs_that_are_no_probabilities_are_told(stored_learner, answers):
    outputs, targets = answers
    loss = lambda pred, y, reduction="mean": F.cross_entropy(pred, y, reduction=reduction)  # noqa: E731
    interp = of(stored_learner(outputs, targets, loss))
    assert "no probabilities" in interp.notes[0]
    with pytest.raises(DataError, match=r"no confidence.*act="):
        interp.calibration()
    assert of(stored_learner(outputs, targets, loss), act=lambda x: x.softmax(1)).notes == []


def test_numbers_that_are_none_are_told(stored_learner):
    outputs = torch.eye(3)
    outputs[1] = torch.nan
    interp = of(stored_learner(outputs, [0, 1, 2]))
    assert "The loss of 1 of 3 items is not a number." in interp.notes
    assert interp.top_losses(1)[1].tolist() == [1]


def test_a_model_file_with_data_of_its_classes(learn, picture_folder, tmp_path):
    interp = of(learn)
    loaded = load_learner(learn.export(tmp_path / "model"), model=small_net())
    with pytest.raises(DataError, match="a learner from a model file has no data of its own"):
        of(loaded)
    again = of(loaded, dl=learn.dls.valid)
    assert torch.equal(again.losses, interp.losses) and again.files == interp.files
    (picture_folder / "valid" / "dog").rename(picture_folder / "valid" / "wolf")
    (picture_folder / "train" / "dog").rename(picture_folder / "train" / "wolf")
    other = ImageDataLoaders.from_folder(picture_folder, item_tfms=Resize(32), num_workers=0)
    with pytest.raises(DataError, match=r"1 of the 2 classes of the data are none of the model's"):
        of(loaded, dl=other.valid)


def test_predictions_of_half_precision_are_kept_in_full(learn):
    interp = of(learn.to_bf16())
    assert interp.top_probs.dtype == interp.losses.dtype == torch.float32
    assert torch.equal(interp.decoded, learn.get_preds(with_decoded=True)[2])
    torch.testing.assert_close(interp.top_probs.sum(1), torch.ones(12))


# ---- data that does not fit --------------------------------------------------------------------


def test_a_test_set_without_targets_cannot_be_interpreted(learn, picture_folder):
    dl = learn.dls.test_dl(get_image_files(picture_folder / "valid"))
    with pytest.raises(DataError, match="with_labels=True"):
        of(learn, dl=dl)


def test_an_empty_loader_has_nothing_to_tell(learn):
    with pytest.raises(DataError, match="the loader has no items"):
        of(learn, dl=[])
    with pytest.raises(DataError, match="no validation set"):
        of(learn, ds_idx=2)


def test_without_a_validation_set(stored_learner):
    learn = stored_learner(torch.eye(3), [0, 1, 2])
    learn.dls = DataLoaders(learn.dls.train)
    with pytest.raises(DataError, match=r"no validation set.*splitter=RandomSplitter\(\)"):
        of(learn)
    assert of(learn, ds_idx=0).files[0] == "number 0 of train"


def test_one_class_alone_cannot_be_confused(stored_learner):
    with pytest.raises(DataError, match=r"only one class, 'cat'.*nothing can be confused"):
        of(stored_learner(torch.zeros(4, 1), [0] * 4, vocab=["cat"], loss=CrossEntropyLossFlat()))


def test_a_class_that_validation_lacks_is_noted_and_no_failure(stored_learner):
    outputs = torch.tensor([[3.0, 0, 0, 0], [0, 3, 0, 0], [0, 3, 0, 0]])
    interp = of(stored_learner(outputs, [0, 1, 0], vocab=["a", "b", "c", "d"]))
    assert interp.missing_classes == ["c", "d"]
    assert "no pictures of 2 of the 4 classes" in interp.notes[0] and "c, d" in interp.notes[0]
    figures = interp.per_class()[2]
    assert (figures.count, figures.most_confused_with) == (0, None)
    values = figures.precision, figures.recall, figures.f1, figures.mean_loss
    assert np.isnan(values).all()
    report = interp.classification_report()
    assert report.endswith("No pictures of: c, d\n")
    assert interp.confusion_matrix().shape == (4, 4)


def test_classes_that_are_not_the_models(stored_learner):
    learn = stored_learner(torch.eye(3), [0, 1, 1], vocab=["cat", "dog", "fox"])
    other = stored_learner(torch.eye(3), [0, 1, 1], vocab=["cat", "dogs", "owl"]).dls
    with pytest.raises(DataError, match=r"2 of the 3 classes.*'dogs', 'owl'\. Did you mean `dog`"):
        of(learn, dl=other.valid)
    fewer = stored_learner(torch.eye(3), [0, 1, 1], vocab=["dog", "cat"]).dls
    with pytest.raises(DataError, match=r"2 classes .* and the model 3 .*in another order"):
        of(learn, dl=fewer.valid)
    wide = stored_learner(torch.eye(3), [0, 1, 1], vocab=["cat", "dog"])
    with pytest.raises(DataError, match="tells 3 classes apart, but the data has 2"):
        of(wide)


def test_several_labels_and_masks_are_for_others(stored_learner):
    learn = stored_learner(torch.zeros(4, 3), torch.zeros(4, 3), nn.BCEWithLogitsLoss())
    with pytest.raises(DataError, match=r"shape \[4, 3\].*MultiLabelInterpretation"):
        of(learn)
    learn = stored_learner(torch.zeros(4, 3), torch.full((4,), 0.5), lambda p, y: p[:, 0] - y)
    with pytest.raises(DataError, match="one class per item"):
        of(learn)


def test_targets_beyond_the_classes(stored_learner):
    loss = lambda pred, y: pred.sum(1)  # noqa: E731
    with pytest.raises(DataError, match=r"A target is 3, but the model's 3 classes"):
        of(stored_learner(torch.eye(3), [0, 1, 3], loss))


def test_the_predictions_of_all_classes_are_not_there(stored_learner):
    interp = of(stored_learner(torch.eye(3), [0, 1, 2]))
    with pytest.raises(AttributeError, match=r"learn\.get_preds\(\)"):
        _ = interp.preds


# ---- rows and pictures -------------------------------------------------------------------------


def test_rows_of_a_confused_pair_have_the_worst_first(stored_learner, answers):
    interp = of(stored_learner(*answers, vocab=list("abcdefg")))
    for actual, predicted, count in interp.most_confused():
        rows = interp.rows_of(actual, predicted)
        assert len(rows) == count
        assert {interp.vocab[i] for i in interp.targs[rows].tolist()} == {actual}
        assert {interp.vocab[i] for i in interp.decoded[rows].tolist()} == {predicted}
        assert (interp.losses[rows].diff() <= 0).all()
    assert torch.equal(interp.rows_of("b"), interp.rows_of(1))
    assert len(interp.rows_of()) == 30
    with pytest.raises(DataError, match=r"no class 'z'.*The classes are: a, b"):
        interp.rows_of("z")


def test_top_losses_are_drawn_with_file_names(learn):
    interp = of(learn)
    losses, indices = interp.top_losses(3)
    assert torch.equal(losses, interp.losses.sort(descending=True).values[:3])
    assert torch.equal(interp.losses[indices], losses)
    figure = interp.plot_top_losses(3).figure
    title = figure.axes[0].get_title()
    label = learn.dls.vocab[int(interp.targs[indices[0]])]
    assert f"/ {label}\n{losses[0]:.2f} / " in title
    assert learn.dls.valid_ds.items[int(indices[0])].name in title
    assert len(interp.top_losses(largest=False)[0]) == 12


def test_heat_maps_are_laid_over_what_is_drawn(learn):
    interp = of(learn)
    rows = interp.top_rows(2)[1].tolist()
    maps = interp.heat_maps(rows)
    assert maps.shape == (2, 32, 32) and 0 <= maps.min() <= maps.max() <= 1
    axes = interp.plot_top_losses(2, heat_map=True)
    assert [len(ax.images) for ax in axes] == [2, 2]
    assert [len(ax.images) for ax in interp.plot_top_losses(2)] == [1, 1]


def test_curves_and_bars_are_drawn(stored_learner, answers):
    interp = of(stored_learner(*answers))
    drawn = interp.plot_confusion_matrix(), interp.plot_calibration(), interp.plot_per_class()
    assert all(ax.get_title() or ax.get_xlabel() for ax in drawn)


# ---- predictions of any origin -----------------------------------------------------------------


def test_arrays_give_what_a_learner_gives(stored_learner, answers, tmp_path):
    outputs, targets = answers
    expected = of(stored_learner(outputs, targets, vocab=list("abcdefg")))
    probs = F.softmax(outputs, 1)
    np.save(tmp_path / "probs.npy", probs.numpy())
    mapped = np.load(tmp_path / "probs.npy", mmap_mode="r")
    names = ["abcdefg"[i] for i in targets]
    files = [f"{i}.jpg" for i in range(30)]
    for given, targs in ((probs, targets), (mapped, targets.numpy()), (probs, names)):
        interp = ClassificationInterpretation.from_arrays(
            given, targs, vocab=list("abcdefg"), files=files
        )
        torch.testing.assert_close(interp.losses, expected.losses)
        assert torch.equal(interp.targs, expected.targs)
        torch.testing.assert_close(interp.top_probs, expected.top_probs)
        assert interp.files == files and interp.dl is None


def test_many_items_are_looked_at_in_pieces(monkeypatch, answers):
    from presize.interpret import kept_arrays

    probs, targets = F.softmax(answers[0], 1), answers[1]
    whole = ClassificationInterpretation.from_arrays(probs, targets)
    monkeypatch.setattr(kept_arrays, "_PIECE", 50)
    pieces = ClassificationInterpretation.from_arrays(probs, targets)
    assert torch.equal(whole.top_classes, pieces.top_classes)
    assert torch.equal(whole.losses, pieces.losses)


def test_arrays_that_do_not_fit(answers):
    make = ClassificationInterpretation.from_arrays
    probs, targets = F.softmax(answers[0], 1), answers[1]
    with pytest.raises(DataError, match=r"that of class 0 for item 0 is .*torch\.softmax"):
        make(probs - 2, targets)
    with pytest.raises(DataError, match="3 targets, but predictions for 30 items"):
        make(probs, [0, 1, 2])
    with pytest.raises(DataError, match=r"\[n, 2\], as there are 2 classes in vocab"):
        make(probs, ["a"] * 30, vocab=["a", "b"])
    with pytest.raises(DataError, match="The target of item 29 is 7"):
        make(probs, torch.cat([targets[:29], torch.tensor([7])]))
    with pytest.raises(DataError, match="2 files, but predictions for 30"):
        make(probs, targets, files=["a.jpg", "b.jpg"])
    bad = probs.clone()
    bad[4, 2] = torch.nan
    with pytest.raises(DataError, match="of class 2 for item 4 is nan"):
        make(bad, targets)


def test_a_loader_of_pytorch_serves_as_well(answers):
    outputs, targets = answers
    pairs = torch.utils.data.TensorDataset(outputs, targets)
    loader = torch.utils.data.DataLoader(pairs, batch_size=8)
    learn = Learner(DataLoaders(loader, loader, device="cpu"), nn.Identity(), nn.CrossEntropyLoss())
    interp = of(learn)
    assert torch.equal(interp.decoded, outputs.argmax(1))
    torch.testing.assert_close(interp.inputs([11, 2]), outputs[[11, 2]])
    with pytest.raises(DataError, match="no pictures"):
        interp.picture(0)
    shuffled = torch.utils.data.DataLoader(pairs, batch_size=8, shuffle=True)
    with pytest.raises(DataError, match="shuffle=False"):
        of(learn, dl=shuffled).inputs([0])
    assert isinstance(of(learn, dl=DataLoader(pairs, 8)), ClassificationInterpretation)


def test_a_model_that_answers_with_nan_is_said_to_have_diverged(stored_learner):
    learn = stored_learner(torch.full((6, 3), torch.nan), torch.arange(6) % 3)
    interp = ClassificationInterpretation.from_learner(learn)
    assert interp.notes[0] == "The loss of 6 of 6 items is not a number."
    assert "answers with NaN" in interp.notes[1] and len(interp.notes) == 2
    with pytest.raises(DataError, match=r"no confidence to look at. .*weights have diverged"):
        interp.calibration()
