"""`presize lr-find`: suggestions, the picture, and nothing left behind."""

import json
from pathlib import Path

import pytest
from PIL import Image

SUGGESTIONS = ["valley", "steep", "minimum", "slide"]


@pytest.fixture
def asked(stripes, monkeypatch, tmp_path):
    """The arguments of a search that takes a second."""
    monkeypatch.chdir(tmp_path)
    network = ("--arch", "squeezenet1_1", "--weights", "none", "--size", 32, "--bs", 8)
    return (stripes, *network, "--steps", 20)


def test_rates_are_suggested_as_python_suggests_them(presize, asked, tmp_path):
    code, out, err = presize("lr-find", *asked, "--no-flip", "--out", "rates", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert list(found["suggestions"]) == SUGGESTIONS
    assert all(1e-7 <= rate <= 10 for rate in found["suggestions"].values())
    assert len(found["rates"]) == len(found["losses"]) <= 20
    assert found["rates"] == sorted(found["rates"])
    with Image.open(found["plot"]) as picture:
        assert min(picture.size) > 300
    assert [p.name for p in tmp_path.iterdir() if p.suffix] == ["rates.png"], "nothing else is left"

    code, out, err = presize("lr-find", *asked, "--no-flip", "--seed", 42)
    assert (code, err) == (0, "")
    rates = dict(line.split()[:2] for line in out.splitlines()[:4])
    told = {name: float(f"{rate:.2g}") for name, rate in found["suggestions"].items()}
    assert {name: float(rate) for name, rate in rates.items()} == told, "it is the same again"
    _, _, command = out.partition("Train with it: ")
    assert command == (
        f"presize train {asked[0]} --seed 42 --arch squeezenet1_1 --size 32 --bs 8 --weights none "
        f"--no-flip --lr {told['valley']:.2g}\n"
    )
    assert max(map(len, out.splitlines()[:4])) <= 60


def test_what_cannot_be_done_is_told_before_the_work(presize, asked):
    code, out, err = presize("lr-find", *asked, "--out", "no/such/rates.png")
    assert (code, out) == (1, "")
    assert "There is no folder `no/such` to write the picture into" in err
    code, out, err = presize("lr-find", *asked, "--out", "rates.xyz")
    assert (code, out) == (1, "")
    assert "A picture of the kind `.xyz` cannot be written" in err and "rates.png" in err
    code, _, err = presize("lr-find", *asked, "--start", 2, "--end", 1)
    assert code == 1
    assert "lr_find lets the rate grow from start_lr" in err
    code, _, err = presize("lr-find", Path("nowhere"))
    assert code == 1
    assert "There is no folder `nowhere`" in err
