"""What is usual of pictures: fitted, written, read."""

from dataclasses import replace

import pytest
import torch

from presize.core.errors import DataError, ModelFileError
from presize.train.drift_reference import DriftReference
from presize.train.drift_seen import Seen

PIXELS = torch.tensor([[0.5, 0.4, 0.3], [0.2, 0.2, 0.2]])


def seen(n, *, d=20, c=4, channels=3, one_class=True, seed=0):
    torch.manual_seed(seed)
    inputs = torch.randn(n, channels, 8, 8)
    probabilities = (2 * torch.randn(n, c)).softmax(1)
    pixels = PIXELS[:, :channels]
    return Seen.of(
        inputs, torch.randn(n, d).abs(), probabilities, pixels=pixels, one_class=one_class
    )


def fitted(**options):
    return DriftReference.fit(seen(60), seen(90, seed=1), pixels=PIXELS, n_classes=4, **options)


def size(reference):
    return sum(t.numel() * t.element_size() for t in reference.tensors().values())


def test_it_is_the_same_after_writing_and_reading():
    reference = fitted()
    again = DriftReference.read(reference.to_dict(), reference.tensors())
    assert again is not None
    assert again.facts == reference.facts
    new = seen(30, seed=2)
    figures = reference.figures(reference.rows(new), new.classes)
    assert torch.equal(again.figures(again.rows(new), new.classes), figures)
    assert figures.shape == (30, len(reference.names))
    known = reference.looks.shape[1] + reference.rest.shape[1]
    assert known == len(reference.names)


def test_new_pictures_of_the_same_kind_have_the_same_distance():
    reference = DriftReference.fit(seen(400), seen(300, seed=1), pixels=PIXELS, n_classes=4)
    new = seen(2000, seed=2)
    found = reference.figures(reference.rows(new), new.classes)[:, -1]
    known = reference.rest[:, -1].double()
    assert float(found.mean()) == pytest.approx(float(known.mean()), rel=0.03)
    assert float(found.std()) == pytest.approx(float(known.std()), rel=0.15)


@pytest.mark.parametrize(("d", "c", "n"), [(2048, 1000, 400), (25_088, 10, 200), (512, 20_000, 60)])
def test_a_file_grows_by_less_than_300_kb(d, c, n):
    made = DriftReference.fit(
        seen(n, d=d, c=c), seen(n, d=d, c=c, seed=1), pixels=PIXELS, n_classes=c
    )
    assert size(made) < 300_000
    assert (made.facts.n_classes is not None) == (c <= 10_000)


def test_without_held_out_pictures_looks_alone_are_kept():
    for held_out in (None, seen(19)):
        reference = DriftReference.fit(seen(60), held_out, pixels=PIXELS, n_classes=4)
        assert reference.facts.n_held_out == 0
        assert reference.facts.n_looks == (60 if held_out is None else 79)
        assert reference.names == fitted().names[:12]
        assert DriftReference.read(reference.to_dict(), reference.tensors()) is not None


def test_pictures_of_one_channel_have_no_colours():
    pixels = PIXELS[:, :1]
    reference = DriftReference.fit(seen(40, channels=1), None, pixels=pixels, n_classes=None)
    assert "saturation" not in reference.names
    assert reference.facts.n_classes is None


def test_too_few_pictures_are_refused():
    with pytest.raises(DataError, match="takes 20 pictures or more, but there are 19"):
        DriftReference.fit(seen(19), None, pixels=PIXELS, n_classes=4)


def test_features_that_are_all_the_same_say_nothing():
    same = replace(seen(40), features=torch.ones(40, 6))
    reference = DriftReference.fit(same, same, pixels=PIXELS, n_classes=4)
    assert not any(name.startswith("feature") for name in reference.names)
    assert DriftReference.read(reference.to_dict(), reference.tensors()) is not None


def test_a_file_may_say_why_there_is_none():
    assert DriftReference.read(None, {}) is None
    assert DriftReference.read({"without": "there are fewer than 20 pictures"}, {}) is None


@pytest.mark.parametrize(
    ("facts", "tensors"),
    [
        ({"channels": "three"}, {}),
        ({"channels": 10**12}, {}),
        ({"n_held_out": -1}, {}),
        ({"n_looks": 149}, {}),
        ({"n_looks": 10**9}, {}),
        ({"n_classes": 0}, {}),
        ({"n_classes": 3}, {}),
        ({"confidence": False}, {}),
        ({}, {"looks": torch.zeros(3, 12)}),
        ({}, {"directions": torch.zeros(())}),
        ({}, {"looks": torch.full((150, 12), torch.nan)}),
        ({}, {"looks": torch.zeros(())}),
        ({}, {"rest": torch.zeros(90, 3)}),
        ({}, {"classes": torch.zeros(150)}),
        ({}, {"classes": torch.full((150,), -1, dtype=torch.int32)}),
        ({}, {"directions": torch.zeros(20)}),
        ({}, {"directions": torch.zeros(20, 0)}),
        ({}, {"centre": torch.zeros(())}),
        ({}, {"more": torch.zeros(3)}),
    ],
)
def test_what_a_file_says_wrongly_is_refused(facts, tensors):
    reference = fitted()
    with pytest.raises(ModelFileError, match=r"drift statistics in the model file are not valid: "):
        DriftReference.read(reference.to_dict() | facts, reference.tensors() | tensors)


def test_a_missing_tensor_is_told():
    reference = fitted()
    with pytest.raises(ModelFileError, match=r"its tensors are missing.*drift=False"):
        DriftReference.read(reference.to_dict(), {})
