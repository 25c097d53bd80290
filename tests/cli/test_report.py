"""`presize report` as it is called: a model file and pictures become a page."""

import sys
from pathlib import Path
from typing import Any

import pytest

from presize.cli import main
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.models.zoo import resnet18
from presize.train.metrics import accuracy
from presize.vision.learner import vision_learner


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    """Run `presize report ARGUMENTS` in this process: its exit code, output and errors."""

    def run(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["presize", "report", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return run


@pytest.fixture(scope="module")
def model(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small model that has trained on the folder."""
    dls = ImageDataLoaders.from_folder(
        stripes, valid="valid", item_tfms=Resize(32), bs=8, num_workers=0
    )
    path = tmp_path_factory.mktemp("model")
    learn = vision_learner(
        dls, resnet18, cut=5, pretrained=False, lin_ftrs=[4], metrics=accuracy, path=path
    )
    with learn.no_logging():
        learn.fit_one_cycle(1)
    file: Path = learn.export("model.safetensors")
    return file


def test_a_model_file_and_pictures_become_a_page(
    command: Any, model: Path, stripes: Path, tmp_path: Path, page: Any
) -> None:
    out = tmp_path / "made/page.html"
    code, told, err = command(model, stripes, "--out", out, "--title", "Stripes")
    assert (code, err) == (0, "")
    assert told.startswith(f"report     {out}") and "MB; open it in a browser" in told
    page.goto(out.as_uri())
    assert page.locator("h1").inner_text() == "Stripes"
    assert "fit_one_cycle: all layers; 1 epoch" in page.locator("#training").inner_text()
    assert page.locator("#confusion-table tbody tr").count() == 2
    assert page.locator("main .missing").count() <= 2  # nothing confused, or no label suspected


def test_what_is_not_wanted_is_left_out(
    command: Any, model: Path, stripes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    options = ("--no-check", "--no-heat-maps", "--no-label-errors", "--pictures", "3")
    assert command(model, stripes, "--out", out, *options)[0] == 0
    text = out.read_text(encoding="utf-8")
    assert "check=False" in text and "label_errors=False" in text
    assert text.partition('id="losses"')[2].partition("</section>")[0].count("<img") == 3


def test_a_model_of_other_data_is_told(
    command: Any, model: Path, picture_folder: Path, tmp_path: Path
) -> None:
    code, told, err = command(model, picture_folder, "--out", tmp_path / "page.html")
    assert (code, told) == (1, "")
    assert "is the model of another data set" in err and "`cat`" in err
    assert not (tmp_path / "page.html").exists()
