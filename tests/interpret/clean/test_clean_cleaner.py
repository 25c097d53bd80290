"""The cleaner from Python's side, and the whole way: found, decided, trained on."""

import gc
import shutil
import threading
import urllib.request
import webbrowser
from pathlib import Path

import pytest
import torch
from torch import nn

from presize.core.errors import DataError
from presize.data.decisionrows import Decision
from presize.data.decisions import Decisions
from presize.data.folders import ImageDataLoaders
from presize.data.resize import Resize
from presize.interpret.clean.cleaner import Cleaner, clean
from presize.learner import Learner


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_it_is_open_until_it_is_stopped(found, tmp_path):
    with Cleaner(found, tmp_path / "d.csv") as cleaner:
        assert cleaner.running and cleaner.url in repr(cleaner)
        assert "0 of 9 decided" in repr(cleaner) and "presize-clean" in names()
        assert f'href="{cleaner.url}"' in cleaner._repr_html_()
        assert urllib.request.urlopen(cleaner.url, timeout=10).status == 200
    assert not cleaner.running and "presize-clean" not in names()
    assert repr(cleaner).endswith("closed") and "href" not in cleaner._repr_html_()
    cleaner.stop()


def test_one_that_nobody_holds_is_closed(found, tmp_path):
    Cleaner(found, tmp_path / "d.csv")
    gc.collect()
    assert "presize-clean" not in names()


def test_it_refuses_a_file_that_holds_something_else_before_it_looks(picture_folder, tmp_path):
    (tmp_path / "labels.csv").write_text("fname,label\n")
    with pytest.raises(DataError, match="no table of decisions"):
        clean(out=tmp_path / "labels.csv", data=tmp_path / "not looked at")


class Stripes(nn.Module):
    """Knows a cat by its red and a dog by its blue."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x):
        red = (x[:, 0] - x[:, 2]).mean((1, 2)) * self.weight * 30
        return torch.stack([red, -red], 1)


def loaders(folder: Path, decisions: Path | None = None) -> ImageDataLoaders:
    return ImageDataLoaders.from_folder(
        folder, item_tfms=Resize(32), bs=8, num_workers=0, device="cpu", decisions=decisions
    )


def test_the_whole_way_from_a_wrong_label_to_data_that_is_clean(
    picture_folder, tmp_path, monkeypatch, page
):
    shutil.move(picture_folder / "valid/cat/1.jpg", picture_folder / "valid/dog/flipped.jpg")
    shutil.copy(picture_folder / "train/dog/1.jpg", picture_folder / "train/dog/twice.jpg")
    learn = Learner(loaders(picture_folder), Stripes(), loss_func=nn.CrossEntropyLoss())
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    with clean(learn, tmp_path / "d.csv", show=False) as cleaner:
        assert opened == [cleaner.url]
        page.goto(cleaner.url)
        page.wait_for_selector("body[data-ready]")
        page.keyboard.press("o")  # of the two dogs the first
        page.keyboard.press("1")
        page.wait_for_selector("text=3 of 3 decided")
        page.locator("#done").click()
        assert cleaner.wait(10)
    dls = loaders(picture_folder, tmp_path / "d.csv")
    assert (len(dls.train_ds), len(dls.valid_ds)) == (24, 12)
    labels = {
        Path(f).name: int(y) for f, y in zip(dls.valid.items, dls.valid_ds.tls[1], strict=True)
    }
    assert dls.vocab[labels["flipped.jpg"]] == "cat"
    learn.dls = dls
    with clean(learn, tmp_path / "d.csv", show=False, open_browser=False) as again:
        assert len(again.suspects) == 0


def test_decisions_about_other_data_are_told(found, tmp_path):
    made = Decisions(tmp_path / "d.csv", tmp_path / "cars")
    made.decide("red/1.jpg", "drop")
    with pytest.warns(UserWarning, match="None of the 1 decisions in .*give another file"):
        Cleaner(found, made.path).stop()
    made.put([Decision("pug/a.jpg", "keep")])
    Cleaner(found, made.path).stop()  # some are about these pictures
