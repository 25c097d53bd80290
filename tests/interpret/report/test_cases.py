"""Reports on what is odd or missing: each is a page that says so."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from presize.data.blocks import (
    CategoryBlock,
    ImageBlock,
    MaskBlock,
    MultiCategoryBlock,
    RegressionBlock,
)
from presize.data.datablock import DataBlock
from presize.data.loaders import DataLoaders
from presize.data.resize import Resize
from presize.data.splits import FuncSplitter
from presize.deploy.load import load_learner
from presize.interpret.report.overview import tiles
from presize.interpret.report.source import Source
from presize.interpret.report.wording import percent
from presize.interpret.report.worst import losses_section
from presize.interpret.report.write import write_report
from presize.learner import Learner
from presize.train.metrics import accuracy, accuracy_multi

from .conftest import draw, small_net


def _files(root: Path, kinds: dict[str, list[int]]) -> list[Path]:
    """Write a picture of each kind into a folder for each split."""
    files = []
    for split, wanted in kinds.items():
        (root / split).mkdir(parents=True)
        for i, kind in enumerate(wanted):
            files.append(root / split / f"{kind}_{i}.png")
            draw(kind, 100 * i + kind, (24, 24)).save(files[-1])
    return files


def _loaders(files: list[Path], get_y: Any, target: Any = CategoryBlock) -> Any:
    block = DataBlock(
        blocks=(ImageBlock, target),
        get_y=get_y,
        splitter=FuncSplitter(lambda file: file.parent.name == "valid"),
        item_tfms=Resize(24),
    )
    return block.dataloaders(files, path=files[0].parent.parent, bs=8, num_workers=0)


def _kind(file: Path) -> str:
    return f"kind {file.name[0]}"


def _text(learn: Learner, tmp_path: Path, **options: Any) -> str:
    """Return the text of the report."""
    file = write_report(learn, tmp_path / "report.html", **options)
    body = file.read_text(encoding="utf-8").partition("</style>")[2]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def _learner(dls: Any, n_out: int, **options: Any) -> Learner:
    return Learner(dls, small_net(n_out), **options)


def test_a_model_that_has_not_trained_says_so_and_is_judged_all_the_same(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1] * 2})
    text = _text(_learner(_loaders(files, _kind), 2), tmp_path)
    assert "Nothing is known of the training" in text
    assert "The command is not known" in text
    assert "Confusion matrix Each row is a class" in text


def test_without_validation_the_page_says_so(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1]})
    learn = _learner(DataLoaders(_loaders(files, _kind).train), 2, path=tmp_path)
    text = _text(learn, tmp_path)
    assert "There is no validation set: nothing tells how well the model does." in text
    assert "Confusion matrix" not in text and "could not be made" not in text


def test_an_empty_validation_set_is_told(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1]})
    dls = _loaders(files, _kind)
    empty = DataLoaders(dls.train, dls.valid.new(dls.valid_ds.new_empty()), path=tmp_path)
    text = _text(_learner(empty, 2), tmp_path)
    assert "the loader has no items" in text and "There are no items in valid." in text
    assert "Confusion matrix" not in text and "could not be made" not in text


def test_pictures_without_targets_are_told(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1]})
    dls = _loaders(files, _kind)
    text = _text(_learner(DataLoaders(dls.train, dls.test_dl(files[-2:])), 2), tmp_path)
    assert "How well it does" in text and "has no targets" in text


def test_one_class_only_in_validation_is_told(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0] * 3})
    text = _text(_learner(_loaders(files, _kind), 2), tmp_path)
    assert "All items of valid are of one class." in text
    assert "There are no pictures of 1 of the 2 classes" in text
    assert "could not be made" not in text


def test_a_class_that_is_missing_in_validation_has_no_figures(tmp_path: Path, page: Any) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1, 2] * 3, "valid": [0, 1] * 3})
    learn = _learner(_loaders(files, _kind), 3)
    text = _text(learn, tmp_path)
    assert "No item of valid is of the class kind 2." in text
    assert "There are no pictures of 1 of the 3 classes" in text
    page.goto((tmp_path / "report.html").as_uri())
    table = page.locator("#classes-table")
    for _ in range(2):  # what is not known stays last, up and down
        table.get_by_role("button", name="recall").click()
        assert table.locator("tbody th").all_inner_texts()[-1] == "kind 2"


def test_several_labels_have_a_table_and_curves(tmp_path: Path, page: Any) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1, 2] * 4, "valid": [0, 1, 2] * 3})
    dls = _loaders(files, lambda file: [_kind(file), "any"], MultiCategoryBlock)
    learn = _learner(dls, 4, metrics=accuracy_multi)
    with learn.no_logging():
        learn.fit(1, 1e-3)
    text = _text(learn, tmp_path, title="Several labels")
    page.goto((tmp_path / "report.html").as_uri())
    assert page.locator("h1").inner_text() == "Several labels"
    assert page.locator("#classes tbody th").count() == 4
    assert page.locator("#curves svg").count() == 1
    assert "average precision" in text and "Mean F1" in text
    assert "could not be made" not in text


def test_other_tasks_have_the_largest_losses_alone(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1, 2] * 4, "valid": [0, 1, 2]})
    dls = _loaders(files, lambda file: float(file.name[0]), RegressionBlock)
    text = _text(_learner(dls, 1), tmp_path)
    assert "regression" in text and "Largest losses" in text
    assert "Confusion matrix" not in text and "could not be made" not in text


def test_pictures_that_are_gone_are_told_and_the_rest_is_there(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1] * 3})
    learn = _learner(_loaders(files, _kind), 2)
    source = Source(learn)
    assert source.interp is not None
    files[-1].unlink()
    rows = [source.picture(row) for row in range(6)]
    assert rows[-1] is None and all(rows[:-1])
    values = losses_section(source).values
    assert sorted(len(card.pictures) for card in values["cards"]) == [1, 2, 2, 2, 2, 2]
    assert values["heat_maps"] and not values["why_no_heat_maps"]


def test_what_is_not_wanted_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1] * 2})
    text = _text(
        _learner(_loaders(files, _kind), 2), tmp_path, label_errors=False, check=False,
        heat_maps=False,
    )  # fmt: skip
    assert "They were not searched for: label_errors=False." in text
    assert "The pictures were not checked: check=False." in text
    assert "what spoke for the answer" not in text


def test_a_model_without_maps_has_no_heat_maps(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1] * 2})
    learn = Learner(_loaders(files, _kind), nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 2)))
    assert "There are no heat maps of what the model looked at." in _text(learn, tmp_path)


def test_a_section_that_fails_is_named_and_the_others_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from presize.interpret.classification import ClassificationInterpretation

    def fails(self: Any) -> None:
        raise RuntimeError("no <table> today")

    monkeypatch.setattr(ClassificationInterpretation, "per_class", fails)
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1] * 2})
    learn = _learner(_loaders(files, _kind), 2)
    with pytest.warns(UserWarning, match="The part `Classes` of the report could not be made"):
        text = _text(learn, tmp_path)
    assert "Classes This part could not be made. RuntimeError: no <table> today" in text
    assert "Confusion matrix Each row is a class" in text


def test_a_calibrated_learner_tells_before_and_after(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1] * 50})
    learn = _learner(_loaders(files, _kind), 2)
    found = learn.calibrate()
    text = _text(learn, tmp_path)
    assert "What calibrating has changed before after" in text
    assert f"Brier score {found.before.brier:.4f} {found.after.brier:.4f}" in text
    assert f"temperature 1 {found.temperature:.3f}" in text
    assert found.threshold is not None
    sure = f"less than {100 * (1 - found.threshold):.1f}\xa0% sure is none of the classes".split()
    assert " ".join(sure) in text


def test_a_model_file_tells_of_the_training_that_it_came_from(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1] * 2})
    learn = _learner(_loaders(files, _kind), 2, path=tmp_path)
    with learn.no_logging():
        learn.fit_one_cycle(2)
    loaded = load_learner(learn.export(tmp_path / "model.safetensors"), model=small_net(2))
    text = _text(loaded, tmp_path)
    assert "fit_one_cycle: all layers; 2 epochs" in text
    assert "Train 8 items Valid 4 items" in text
    assert "the loader has no items" in text


def test_the_learner_and_its_randomness_are_left_as_they_were(trained: Learner) -> None:
    modes = [module.training for module in trained.model.modules()]
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    state = torch.get_rng_state()
    calls = list(trained.cbs)
    write_report(trained, trained.path / "again.html")
    assert [module.training for module in trained.model.modules()] == modes
    after = trained.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(torch.get_rng_state(), state)
    assert list(trained.cbs) == calls


# ---- the file --------------------------------------------------------------------------------


def test_a_bare_name_goes_into_the_folder_of_the_learner(trained: Learner) -> None:
    file = write_report(trained, "named.html", check=False, label_errors=False, heat_maps=False)
    assert file == trained.path / "named.html" and file.is_file()


def test_folders_are_made(trained: Learner, tmp_path: Path) -> None:
    learn, wanted = trained, tmp_path / "not/yet/report.html"
    assert write_report(learn, wanted, check=False, label_errors=False, heat_maps=False) == wanted
    assert wanted.is_file()


def test_an_impossible_number_is_refused(trained: Learner, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one picture; got k=0"):
        write_report(trained, tmp_path / "report.html", k=0)


def test_a_report_that_fails_leaves_the_old_one(
    trained: Learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "report.html"
    file.write_text("old")
    monkeypatch.setattr(Path, "replace", _full)
    with pytest.raises(OSError, match="disk is full"):
        write_report(trained, file, check=False, label_errors=False, heat_maps=False)
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def _full(self: Path, target: Path) -> Path:
    raise OSError("the disk is full")


def test_pictures_of_any_kind_are_shown(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1] * 2})
    Image.open(files[-1]).convert("P").save(files[-1])
    Image.open(files[-2]).convert("L").save(files[-2])
    assert "could not be made" not in _text(_learner(_loaders(files, _kind), 2), tmp_path)


def test_outputs_that_are_no_probabilities_are_not_called_sure(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1] * 2})
    learn = _learner(_loaders(files, _kind), 2, loss_func=nn.MultiMarginLoss())
    text = _text(learn, tmp_path, label_errors=False, check=False)
    assert "there is no confidence to look at" in text
    assert "% sure" not in text and "could not be made" not in text


def test_masks_are_not_told_in_words(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1]})
    mask = Image.new("L", (24, 24))
    dls = _loaders(files, lambda file: mask, MaskBlock(codes=["a", "b"]))
    text = _text(Learner(dls, nn.Conv2d(3, 2, 1)), tmp_path, check=False)
    assert "Largest losses loss 0" in text and "none" not in text.partition("Repeat")[0]


def test_the_loss_and_the_accuracy_are_those_of_validate(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 0, 0, 1]})
    weighted = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 9.0]))
    learn = _learner(_loaders(files, _kind), 2, loss_func=weighted, metrics=accuracy)
    found = {tile.name: tile.figure for tile in tiles(Source(learn))}
    loss, share = learn.validate()
    assert found["Loss"] == f"{loss:.4g}" and found["Accuracy"] == percent(share)


def test_a_model_that_cannot_be_asked_leaves_a_page_that_says_so(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1] * 2})
    model = nn.Sequential(nn.Flatten(), nn.Linear(7, 2))
    learn = Learner(_loaders(files, _kind), model)
    with pytest.warns(UserWarning, match="tells nothing of how well the model does"):
        text = _text(learn, tmp_path, check=False)
    assert "The model could not be asked. RuntimeError: " in text and "Train 8 items" in text


def test_a_folder_is_refused_before_the_work(trained: Learner, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="one file, but .* is a folder. Name a file in it"):
        write_report(trained, tmp_path)


def test_a_long_command_is_whole(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1] * 2})
    command = "presize train " + " ".join(f"--option-{i}=value" for i in range(60))
    learn = _learner(_loaders(files, _kind), 2)
    text = _text(learn, tmp_path, command=command, check=False, label_errors=False, heat_maps=False)
    assert command in text


def test_one_epoch_is_one_epoch(tmp_path: Path) -> None:
    files = _files(tmp_path / "a", {"train": [0, 1] * 4, "valid": [0, 1] * 2})
    learn = _learner(_loaders(files, _kind), 2)
    with learn.no_logging():
        learn.fit(1)
    assert tiles(Source(learn))[-1].note == "1 epoch"
