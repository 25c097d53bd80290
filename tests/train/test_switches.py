"""Which way is taken, from measured times; the table of what was measured."""

import random
import re

import pytest
import torch

from presize.train.switches import PLAIN, AutoReport, Switches, Trial, candidates, fastest

LAST = Switches(channels_last=True)
BF16 = Switches("bf16")


def trials(**seconds: list[float]) -> list[Trial]:
    ways = {"plain": PLAIN, "last": LAST, "bf16": BF16}
    return [Trial(ways[name], values) for name, values in seconds.items()]


def test_names() -> None:
    assert str(PLAIN) == "fp32"
    assert str(Switches("bf16", True, True)) == "bf16, channels_last, compile"
    assert str(Switches("tf32", compile="max-autotune")) == "tf32, compile=max-autotune"


def test_candidates_for_a_cpu() -> None:
    names = [str(way) for way in candidates(torch.device("cpu"))]
    assert names == ["fp32", "fp32, channels_last", "bf16", "bf16, channels_last"]


@pytest.mark.parametrize(
    ("capability", "kinds"),
    [((9, 0), ["fp32", "tf32", "bf16", "fp16"]), ((7, 5), ["fp32", "fp16"])],
)
def test_candidates_for_a_gpu(
    capability: tuple[int, int], kinds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    found = candidates(torch.device("cuda", 0))
    assert found[0] == PLAIN
    assert [way.precision for way in found[::2]] == kinds
    assert [way.channels_last for way in found] == [False, True] * len(kinds)


@pytest.mark.parametrize(
    ("last", "taken"),
    [
        ([0.5, 0.5, 0.5], LAST),
        ([0.96, 0.96, 0.96], LAST),
        ([0.98, 0.98, 0.98], PLAIN),  # too little
        ([2.0, 2.0, 2.0], PLAIN),
        ([0.5, 1.4, 0.9], PLAIN),  # that may be chance
        ([0.5, 0.5, 0.5, 0.5, 1.4], LAST),  # a round was disturbed
    ],
)
def test_a_way_has_to_be_clearly_faster(last: list[float], taken: Switches) -> None:
    assert fastest(trials(plain=[1.0, 1.01, 0.99], last=last)) == taken


def test_fewer_digits_have_to_be_worth_more() -> None:
    assert fastest(trials(plain=[1.0] * 3, bf16=[0.92] * 3)) == PLAIN
    assert fastest(trials(plain=[1.0] * 3, bf16=[0.85] * 3)) == BF16


def test_of_nearly_equal_ways_the_first_is_taken() -> None:
    assert fastest(trials(plain=[1.0] * 3, last=[0.51] * 3, bf16=[0.5] * 3)) == LAST
    assert fastest(trials(plain=[1.0] * 3, last=[0.6] * 3, bf16=[0.5] * 3)) == BF16


def test_what_failed_is_not_taken() -> None:
    tried = trials(plain=[1.0] * 3, last=[0.5] * 3)
    tried[1].failure = "its loss is nan"
    assert fastest(tried) == PLAIN


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
def test_what_is_not_faster_is_rarely_taken(noise: float) -> None:
    draw = random.Random(0)

    def rounds() -> list[float]:
        return [1 + abs(draw.gauss(0, noise)) for _ in range(5)]

    wrong = sum(fastest(trials(plain=rounds(), last=rounds())) == LAST for _ in range(1000))
    assert wrong / 1000 < 0.04


def test_the_table() -> None:
    tried = [
        *trials(plain=[0.2] * 3, last=[0.1, 0.1, 0.11]),
        Trial(BF16, failure="its loss is nan"),
    ]
    report = AutoReport(LAST, tuple(tried), "a CPU", 64, "To compile was not tried.")
    assert report.speedup == pytest.approx(2.0)
    lines = str(report).splitlines()
    assert lines[0] == (
        "auto: fp32, channels_last is on, 2.00x as fast as fp32 (steps of 64 items on a CPU)."
    )
    assert re.fullmatch(r"  fp32 +200\.0 ms a step \(200\.0-200\.0, n=3\) +1\.00x", lines[1])
    assert lines[3] == "  bf16                 its loss is nan"
    assert lines[4] == "To compile was not tried."
    stays = AutoReport(PLAIN, tuple(tried), "a CPU", 64)
    assert str(stays).startswith("auto: nothing was clearly faster than fp32, which stays (")
    assert stays.speedup == 1.0
