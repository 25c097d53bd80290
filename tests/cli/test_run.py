"""What a run leaves: a table, settings that repeat it, and JSON for programs."""

import json
import tomllib
from pathlib import Path

import pytest

from presize.callbacks.checkpoint import Checkpoints
from presize.learner import Learner
from presize.train.state import load_state


class Killed(BaseException):
    pass


def table(out: Path) -> list[list[str]]:
    """The rows of metrics.csv without the seconds, which differ."""
    lines = (out / "metrics.csv").read_text().splitlines()
    return [line.split(",")[:-1] for line in lines]


def test_a_run_is_repeated_by_its_settings_to_the_bit(presize, stripes, tmp_path, quick, request):
    first, again = tmp_path / "first", tmp_path / "again"
    options = ("--lr", "auto", "--mixup", 0.4, "--label-smoothing", 0.1, "--ema", "--seed", 3)
    code, out, err = presize("train", stripes, *quick, *options, "--out", first, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert "Looked for a rate: --lr " in err and "try it" in err
    assert all(Path(file).is_file() for file in told["files"].values())
    assert set(told["files"]) == {"model", "report", "metrics", "config"}
    assert (told["n_train"], told["n_valid"], told["classes"]) == (24, 12, ["across", "down"])
    assert [fit["method"] for fit in told["fits"]] == ["fit_one_cycle"]
    assert told["fits"][0]["epochs"][0]["accuracy"] == pytest.approx(told["accuracy"])

    kept = tomllib.loads((first / "config.toml").read_text())
    assert (kept["data"], kept["seed"], kept["amp"]) == (str(stripes), 3, "no")
    assert kept["lr"] > 0, "what was found"
    assert table(first)[0] == ["epoch", "train_loss", "valid_loss", "accuracy"]
    assert len(table(first)) == 2

    request.getfixturevalue("undrawn")
    code, out, err = presize("train", "--config", first / "config.toml", "--out", again)
    assert (code, err) == (0, "")
    assert "Looked for a rate" not in out
    assert table(again) == table(first)
    weights = [load_state(place / "stripes.safetensors")[0] for place in (first, again)]
    assert all((value == weights[1][name]).all() for name, value in weights[0].items())
    assert tomllib.loads((again / "config.toml").read_text()) == kept


@pytest.mark.usefixtures("undrawn")
def test_each_epoch_has_one_row_also_in_a_run_that_was_killed(
    presize, stripes, tmp_path, quick, monkeypatch
):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        after = Checkpoints.after_batch

        def after_batch(self, learn):
            self.every_steps = 1
            after(self, learn)
            if learn.training and learn.train_iter == 5:  # of three batches an epoch
                raise Killed

        patch.setattr(Checkpoints, "after_batch", after_batch)
        with pytest.raises(Killed):
            presize("train", stripes, *quick, "--epochs", 3, "--out", out)
    begun = table(out)
    assert [row[0] for row in begun] == ["epoch", "0"]
    code, said, err = presize("train", "--resume", "--out", out)  # all else is in its settings
    assert (code, err) == (0, "")
    assert "Going on with fit_one_cycle" in said
    assert [row[0] for row in table(out)] == ["epoch", "0", "1", "2"]
    assert table(out)[:2] == begun
    code, said, _ = presize("train", "--resume", "--out", out, "--json")
    assert (code, json.loads(said)["ended"]) == (0, True)


def test_pictures_may_have_several_labels(presize, stripes, tmp_path, quick, monkeypatch):
    monkeypatch.setattr(Learner, "report", lambda learn, path, title: path)
    rows = ["file,labels,is_valid"]
    for i in range(24):
        kind = "down" if i % 2 else "across"
        place = f"{stripes}/train/{kind}/{kind}_train{i // 2}.jpg"
        rows.append(f"{place},{kind}{' late' if i > 11 else ''},{i % 4 == 0}")
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(rows), encoding="utf-8")
    options = ("--label-delim", " ", *quick, "--out", tmp_path / "out", "--json")
    code, out, err = presize("train", labels, *options)
    assert code == 0, err
    told = json.loads(out)
    assert told["classes"] == ["across", "down", "late"]
    assert told["accuracy_multi"] == pytest.approx(told["fits"][-1]["epochs"][-1]["accuracy_multi"])
    assert Path(told["files"]["model"]).name == "labels.safetensors"
    code, _, err = presize("train", labels, *options, "--label-smoothing", 0.1)
    assert code == 1
    assert "--label-smoothing spreads the one label" in err


def test_a_dry_run_shows_all_and_does_nothing(presize, stripes, tmp_path, quick):
    out = tmp_path / "out"
    code, said, err = presize("train", stripes, *quick, "--out", out, "--dry-run")
    assert (code, err) == (0, "")
    assert 'arch = "squeezenet1_1"' in said
    assert f'data = "{stripes}"' in said
    assert "down     12      6" in said
    assert f"The results would be in {out}. Nothing was trained" in " ".join(said.split())
    assert not out.exists()
    code, said, _ = presize("train", stripes, *quick, "--out", out, "--dry-run", "--json")
    told = json.loads(said)
    assert (told["dry_run"], told["settings"]["bs"]) == (True, 8)
    assert told["data"]["splits"] == {"train": 24, "valid": 12}
    code, _, err = presize("train", stripes, "--arch", "resnet81", "--dry-run")
    assert code == 1
    assert "no architecture `resnet81`" in err and "Did you mean" in err


@pytest.mark.usefixtures("undrawn")
def test_a_limit_of_time_is_handed_on(presize, stripes, tmp_path, quick):
    options = ("--max-time", "1h", "--out", tmp_path / "out")
    code, out, err = presize("train", stripes, *quick, *options)
    assert code == 0, err
    assert "max_time=1h" in out
