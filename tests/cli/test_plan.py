"""Which settings a run has: the command line before the file, the file before what is usual."""

from pathlib import Path

import pytest
import typer

from presize.cli.plan import plan_of
from presize.cli.recipe import DIGITS, PHOTOS
from presize.cli.settings import rate_of, settings_of


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "run.toml"
    file.write_text('data = "digits"\nepochs = 3\nlr = 0.1\nseed = 5\namp = "no"\n')
    return file


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_file_the_usual_settings_are_taken():
    plan = plan_of({"data": "digits", "lr": None, "resume": False})
    assert plan.settings == settings_of({"data": "digits"})
    assert plan.settings.recipe == DIGITS
    assert (plan.out, plan.model) == (Path("runs/digits"), Path("runs/digits/digits.safetensors"))


def test_the_command_line_goes_before_the_file(config):
    plan = plan_of({"config": config, "epochs": 7, "lr": "auto", "out": Path("o")})
    recipe = plan.settings.recipe
    assert (recipe.epochs, recipe.lr, plan.settings.seed, recipe.bs) == (7, "auto", 5, DIGITS.bs)
    assert plan.out == Path("o")


def test_other_data_may_be_trained_as_the_file_says(config, stripes):
    plan = plan_of({"config": config, "data": str(stripes)})
    assert plan.source.splits == ("train", "valid")
    assert (plan.settings.recipe.size, plan.settings.recipe.epochs) == (PHOTOS.size, 3)


def test_there_must_be_data(tmp_path):
    with pytest.raises(typer.BadParameter, match="nothing to train on"):
        plan_of({"data": None})


@pytest.mark.parametrize(("auto", "amp", "means"), [
    (True, None, "auto"), (False, None, "no"), (False, "bf16", "bf16"), (None, "fp16", "fp16"),
    (None, None, "auto"), (True, "auto", "auto"),
])  # fmt: skip
def test_auto_is_another_word_for_amp(auto, amp, means):
    assert plan_of({"data": "digits", "auto": auto, "amp": amp}).settings.recipe.amp == means


@pytest.mark.parametrize(("auto", "amp"), [(True, "bf16"), (False, "auto")])
def test_both_must_not_contradict_each_other(auto, amp):
    with pytest.raises(typer.BadParameter, match=f"auto and --amp {amp} contradict each other"):
        plan_of({"data": "digits", "auto": auto, "amp": amp})


def test_a_run_is_gone_on_with_as_it_was_begun(config, tmp_path):
    (tmp_path / "runs/digits").mkdir(parents=True)
    kept = tmp_path / "runs/digits/config.toml"
    config.rename(kept)
    asked = ({"data": "digits"}, {"out": Path("runs/digits")}, {"config": kept})
    plans = [plan_of({**one, "resume": True}) for one in asked]
    assert {plan.settings.recipe.lr for plan in plans} == {0.1}
    assert {plan.out.resolve() for plan in plans} == {kept.parent}
    assert plan_of({**asked[0], "resume": True, "lr": "0.3"}).settings.recipe.lr == 0.3
    assert plan_of({**asked[0], "resume": False}).settings.recipe.lr == DIGITS.lr


def test_a_process_among_several_knows_how_many_there_are(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    plan = plan_of({"data": "digits"})
    assert (plan.settings.devices, plan.devices_said) == (3, False)
    monkeypatch.delenv("RANK")
    plan = plan_of({"data": "digits", "devices": 2})
    assert (plan.settings.devices, plan.devices_said) == (2, True)


def test_a_setting_that_has_no_effect_is_told():
    with pytest.warns(UserWarning, match="--freeze-epochs is not used: without pretrained"):
        plan_of({"data": "digits", "freeze_epochs": 2})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"valid_pct": 20}, r"--valid-pct is a part .* not 20. Did you mean 0.2\?"),
        (
            {"cache": "disc"},
            r"--cache is one of auto, ram, disk, no, not disc. Did you mean `disk`",
        ),
        ({"amp": "fp8"}, "--amp is one of auto, no, tf32, fp16, bf16, not fp8"),
        ({"seed": -1}, "--seed must be at least 0, not -1"),
        ({"seed": 2**32}, r"--seed must be below 2\*\*32 = 4294967296, not 4294967296\."),
        ({"workers": -1}, "--workers must be at least 0"),
        ({"label_smoothing": 1.0}, "--label-smoothing is a part of the target"),
        ({"mixup": -0.1}, r"--mixup must be 0 or more, not -0.1\."),
        ({"freeze_epochs": -1}, "--freeze-epochs must be 0 or more"),
        ({"wd": float("nan")}, "--wd must be 0 or more"),
        ({"max_time": "soon"}, "--max-time is a number of seconds, or text such as .* 'soon'"),
    ],
)
def test_what_no_run_can_have_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        settings_of({"data": "digits", **given})


def test_results_do_not_go_into_a_file(config):
    with pytest.raises(NotADirectoryError, match="into a folder, but --out `.*run.toml` is a file"):
        plan_of({"data": "digits", "out": config})


def test_a_rate_is_a_number_or_auto():
    assert (rate_of("2e-3"), rate_of("auto"), rate_of(None)) == (0.002, "auto", None)
    with pytest.raises(ValueError, match="--lr is a number, .* or `auto`, not `fast`"):
        rate_of("fast")
