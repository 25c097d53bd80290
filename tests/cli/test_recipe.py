import pytest

from presize.cli.recipe import DIGITS, PHOTOS, recipe_for

NOTHING = {
    "arch": None, "epochs": None, "size": None, "presize": None, "bs": None, "lr": None,
    "weights": None,
}  # fmt: skip


def test_nothing_said_gives_the_usual_settings():
    assert recipe_for("digits", **NOTHING) == DIGITS
    assert recipe_for("some/folder", **NOTHING) == PHOTOS


def test_what_is_said_counts():
    given = recipe_for("pets", **{**NOTHING, "arch": "resnet50", "epochs": 2, "bs": 8, "lr": 0.1})
    assert (given.arch, given.epochs, given.bs, given.lr) == ("resnet50", 2, 8, 0.1)
    assert given.size == PHOTOS.size


def test_presize_keeps_its_ratio_to_the_size():
    assert recipe_for("pets", **{**NOTHING, "size": 112}).presize == 230
    assert recipe_for("pets", **{**NOTHING, "size": 112, "presize": 128}).presize == 128


def test_without_pretrained_weights_the_rate_is_higher():
    assert recipe_for("pets", **{**NOTHING, "weights": "none"}).lr > PHOTOS.lr
    assert not recipe_for("pets", **{**NOTHING, "weights": "none"}).pretrained
    assert recipe_for("pets", **{**NOTHING, "weights": "mine.pth"}).pretrained


@pytest.mark.parametrize("name", ["epochs", "size", "presize", "bs"])
def test_counts_begin_at_one(name):
    with pytest.raises(ValueError, match=f"--{name} must be at least 1, not 0"):
        recipe_for("pets", **{**NOTHING, name: 0})


def test_a_rate_of_zero_is_refused():
    with pytest.raises(ValueError, match="--lr must be greater than 0, not 0"):
        recipe_for("pets", **{**NOTHING, "lr": 0.0})


def test_a_presize_below_the_size_is_refused():
    with pytest.raises(ValueError, match="--presize 100 is smaller than --size 224"):
        recipe_for("pets", **{**NOTHING, "presize": 100})
