"""The file of settings: what is written, what is read, and what is wrong with it."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from presize.cli.config import GROUPS, KINDS, config_text, read_config, write_config
from presize.cli.recipe import Recipe
from presize.cli.settings import Settings, settings_of

VERSIONS = {"presize": "0.1.0", "device": "cpu\ndata = 'evil'"}


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "run.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def full(tmp_path: Path) -> Settings:
    """Settings of which none is the usual one."""
    for name in ("photos", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "own.pth").touch()
    return settings_of(
        {
            "data": str(tmp_path / "photos"), "pattern": r'^(.+)_\d+"\.jpg$', "label_delim": "é;",
            "valid_pct": 0.3, "decisions": tmp_path / "d.csv", "seed": 7, "workers": 2,
            "cache": "no", "devices": 2, "arch": "resnet34", "epochs": 3, "size": 64,
            "presize": 80, "bs": 4, "lr": 0.1, "weights": str(tmp_path / "own.pth"), "flip": False,
            "freeze_epochs": 2, "wd": 0.05, "label_smoothing": 0.1, "mixup": 0.4, "ema": True,
            "max_time": "20m", "amp": "bf16", "channels_last": True, "compile": True,
        }
    )  # fmt: skip


def test_what_is_written_is_read_again(full, tmp_path):
    file = tmp_path / "run/config.toml"
    write_config(file, full)
    assert settings_of(read_config(file)) == full


def test_every_setting_has_a_key_and_every_key_a_setting(full):
    assert {key for group in GROUPS.values() for key in group} == set(full.flat())
    assert set(KINDS) - set(full.flat()) == {"out"}


def test_versions_are_comments_whatever_they_hold(full):
    text = config_text(full, VERSIONS)
    assert "# presize: 0.1.0\n# device: cpu data = 'evil'\n" in text
    assert tomllib.loads(text)["data"] == full.data


def test_paths_are_written_from_the_root_and_names_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    assert tomllib.loads(config_text(settings_of({"data": "photos"}), {}))["data"] == str(
        tmp_path / "photos"
    )
    for name in ("digits", "MNIST_SAMPLE"):
        found = tomllib.loads(config_text(settings_of({"data": name}), {}))
        assert (found["data"], found["weights"] in ("default", "none")) == (name, True)


def test_paths_in_it_are_taken_from_its_folder(tmp_path):
    (tmp_path / "own.pth").touch()
    found = read_config(
        written(tmp_path, 'data = "photos"\nweights = "own.pth"\nout = "x"\ndecisions = "d.csv"')
    )
    assert found == {
        "data": str(tmp_path / "photos"),
        "weights": str(tmp_path / "own.pth"),
        "out": tmp_path / "x",
        "decisions": tmp_path / "d.csv",
    }
    kept = read_config(written(tmp_path, 'data = "digits"\nweights = "IMAGENET1K_V2"'))
    assert kept == {"data": "digits", "weights": "IMAGENET1K_V2"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('\ndata = "d"\nepoch = 3', r"run.toml, line 3: there is no setting `epoch`. Did you mean"),
        ("a = 1\n[training]\nlr = 1", "line 1: there is no setting `a`.* The settings are data, "),
        ("[training]\nlr = 1", "line 1: there is no setting `training`"),
        ('seed = 1\n "bs" = 2.5', r"line 2: `bs` is a whole number, but is given as 2.5\."),
        ("bs = true", r"`bs` is a whole number, but is given as true\."),
        ('lr = "fast"', '`lr` is a number or "auto", but is given as the text "fast"'),
        ("flip = 1", r"`flip` is true or false, but is given as 1\."),
        ("arch = [1]", r"`arch` is text, but is given as \[1\]\."),
        ("[data]\nx = 1", r"line 1: `data` is text, but is given as a table\."),
        ("lr = ", r"no file of settings \(TOML\): Invalid value .* Give the config.toml of a run"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, said):
    with pytest.raises(ValueError, match=said):
        read_config(written(tmp_path, text))


def test_files_that_are_made_to_harm_are_refused(tmp_path):
    with pytest.raises(ValueError, match="run.toml is no file of settings: it is nested too deep"):
        read_config(written(tmp_path, "x = " + "[" * 9000))
    with pytest.raises(ValueError, match="it has more than 1,000,000 bytes"):
        read_config(written(tmp_path, "#" * 1_000_001))


def test_bytes_that_are_no_text_are_told(tmp_path):
    file = tmp_path / "model.toml"
    file.write_bytes(b"\x80\x04\x95\xff")
    with pytest.raises(ValueError, match=r"model.toml is no file of settings \(TOML\): .*utf-8"):
        read_config(file)


def test_a_number_may_be_whole_where_a_part_is_meant(tmp_path):
    found = settings_of(read_config(written(tmp_path, 'data = "digits"\nlr = 1\nwd = 0')))
    assert (found.recipe.lr, found.recipe.wd) == (1, 0)
    assert (
        settings_of(read_config(written(tmp_path, 'data = "d"\nlr = "auto"'))).recipe.lr == "auto"
    )


def test_nothing_that_is_not_set_is_written(full):
    text = config_text(replace(full, pattern=None, workers=None), {})
    assert "pattern" not in text and "workers" not in text
    assert isinstance(full.recipe, Recipe)
