"""The watch over what goes through a model, and its verdicts."""

import json
import re
import threading

import pytest
import torch
from torch.nn import functional as F

from presize.core.errors import DataError
from presize.train.drift_reference import DriftReference
from presize.train.drift_seen import Seen
from presize.train.drift_watch import DriftWatch

PIXELS = torch.tensor([[0.5, 0.4, 0.3], [0.2, 0.25, 0.3]])
CLASSES, SIDE = 5, 24
VOCAB = ["ant", "<b>bee</b>", "cow", "dog", "eel"]


class World:
    """Pictures of classes with colours of their own, and a network that sees them."""

    def __init__(self):
        made = torch.Generator().manual_seed(5)
        self.colours = torch.rand(CLASSES, 3, generator=made)
        self.weights = torch.randn(3 * 4, 16, generator=made)
        self.head = torch.randn(16, CLASSES, generator=made)

    def pictures(self, n, seed, shares=None):
        g = torch.Generator().manual_seed(seed)
        shares = torch.ones(CLASSES) if shares is None else shares
        classes = torch.multinomial(shares, n, replacement=True, generator=g)
        spots = torch.rand(n, 3, 6, 6, generator=g)
        x = F.interpolate(spots, (SIDE, SIDE), mode="bilinear")
        x = 0.5 * x + 0.4 * self.colours[classes][..., None, None]
        return x + 0.01 * torch.rand(n, 3, SIDE, SIDE, generator=g), classes

    def seen_by_model(self, x, classes):
        features = (F.adaptive_avg_pool2d(x, 2).flatten(1) @ self.weights).relu()
        probabilities = (features @ self.head * 0.3 + 4 * F.one_hot(classes, CLASSES)).softmax(1)
        normal = (x - PIXELS[0][:, None, None]) / PIXELS[1][:, None, None]
        return normal, features, probabilities

    def batch(self, n, seed, change=None, shares=None):
        x, classes = self.pictures(n, seed, shares)
        return self.seen_by_model(x if change is None else change(x), classes)


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.fixture(scope="module")
def reference(world):
    def seen(n, seed):
        return Seen.of(*world.batch(n, seed), pixels=PIXELS, one_class=True)

    return DriftReference.fit(seen(200, 1), seen(300, 2), pixels=PIXELS, n_classes=CLASSES)


@pytest.fixture
def watch(reference):
    return DriftWatch(reference, VOCAB)


def test_pictures_of_the_same_kind_are_no_drift(world, watch):
    alarms = 0
    for seed in range(60):
        watch.clear()
        watch.observe(*world.batch((30, 100, 300)[seed % 3], 100 + seed))
        alarms += watch.verdict().drifted
    assert alarms <= 1


def test_one_class_alone_is_told_and_is_no_drift(world, watch):
    alarms = 0
    for seed in range(20):
        watch.clear()
        only = F.one_hot(torch.tensor(seed % CLASSES), CLASSES).float()
        watch.observe(*world.batch(100, 300 + seed, shares=only))
        verdict = watch.verdict()
        alarms += verdict.drifted
        assert f"are taken for `{VOCAB[seed % CLASSES]}`" in verdict.classes
    assert alarms <= 1


@pytest.mark.parametrize(
    ("change", "what", "words"),
    [
        (lambda x: 1 - x, "features", "^other content: "),
        (lambda x: 0.6 * x, "brightness", r"^darker: mean brightness 0\.\d\d where training had"),
        (lambda x: F.avg_pool2d(x, 3, 1), "sharpness", "^blurred: fine to coarse detail 0"),
        (lambda x: x + 0.08 * torch.randn_like(x), "noise", r"^noisier: noise 0\.0\d where"),
        (lambda x: x.mean(1, keepdim=True).expand_as(x), "saturation", "^paler: saturation 0.0"),
        (lambda x: x.flip(1), "features", "^other content: "),
        (torch.rand_like, "features", "^other content: .* times as far"),
        (lambda x: x * torch.where(torch.arange(len(x)) % 2 > 0, 1.4, 0.6)[:, None, None, None],
         "brightness", "^more varied: mean brightness spreads by"),
    ],
)  # fmt: skip
def test_what_differs_is_named(world, watch, change, what, words):
    watch.observe(*world.batch(60, 50, change))
    verdict = watch.verdict()
    assert verdict.drifted and verdict
    found = {finding.what: finding for finding in verdict.findings}
    assert what in found
    assert re.search(words, found[what].words)
    sizes = [finding.size for finding in verdict.findings]
    assert sizes == sorted(sizes, reverse=True)
    assert verdict.score == pytest.approx(max(sizes))
    assert all(finding.p <= 0.005 for finding in verdict.findings)


def test_a_less_sure_model_is_told(world, watch):
    inputs, features, probabilities = world.batch(60, 7)
    watch.observe(inputs, features, (probabilities.log() / 3).softmax(1))
    verdict = watch.verdict()
    assert [finding.what for finding in verdict.findings] == ["confidence"]
    assert verdict.findings[0].words.startswith("less sure: typical confidence 0.")


def test_too_few_pictures_are_a_verdict_too(world, watch):
    assert watch.verdict().n == 0
    watch.observe(*world.batch(12, 3, lambda x: 1 - x))
    verdict = watch.verdict()
    assert not verdict.enough and not verdict.drifted
    assert str(verdict) == "Too few pictures yet for a verdict on drift: 12 of 30."


def test_the_verdict_is_about_the_latest_pictures(world, reference):
    watch = DriftWatch(reference, window=50)
    watch.observe(*world.batch(400, 4, lambda x: 1 - x))
    assert len(watch) == 50 and watch.verdict().drifted
    for seed in range(13):
        watch.observe(*world.batch(4, 60 + seed))
    assert len(watch) == 50
    assert watch.verdict().n == 50 and not watch.verdict().drifted
    assert sum(len(rows) for rows, _ in watch._noted) < 50 + 4  # no more is kept


def test_batches_make_no_difference(world, reference):
    whole, ones = DriftWatch(reference), DriftWatch(reference)
    batch = world.batch(40, 9)
    whole.observe(*batch)
    for one in zip(*batch, strict=True):
        ones.observe(*(value[None] for value in one))
    assert ones.verdict().score == pytest.approx(whole.verdict().score, abs=0.03)
    assert ones.verdict().n == whole.verdict().n == 40


def test_many_threads_may_observe_and_ask(world, reference):
    watch = DriftWatch(reference, window=64)
    batches = [world.batch(5, seed) for seed in range(8)]
    failed = []

    def work():
        try:
            for _ in range(3):
                for batch in batches:
                    watch.observe(*batch)
                watch.verdict()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(watch) == watch.verdict().n == 64


def test_pictures_without_finite_numbers_are_left_out(world, watch):
    inputs, features, probabilities = world.batch(40, 11)
    features[3], inputs[4], features[5] = torch.nan, torch.inf, torch.inf
    watch.observe(inputs, features, probabilities)
    verdict = watch.verdict()
    assert verdict.n == 37 and not verdict.drifted


def test_features_may_be_left_out(world, watch):
    inputs, _, probabilities = world.batch(60, 12, lambda x: 0.5 * x)
    watch.observe(inputs, None, probabilities)
    verdict = watch.verdict()
    assert "brightness" in {finding.what for finding in verdict.findings}
    assert "features" not in {finding.what for finding in verdict.findings}
    assert verdict.compared == 13 and not verdict.features


def test_a_reference_of_looks_alone_says_so(world):
    seen = Seen.of(*world.batch(100, 1), pixels=PIXELS, one_class=True)
    watch = DriftWatch(DriftReference.fit(seen, None, pixels=PIXELS, n_classes=CLASSES))
    watch.observe(*world.batch(60, 2))
    assert str(watch.verdict()).startswith("No drift in looks: ")
    assert "what the network sees of them could not be compared" in str(watch.verdict())


def test_nothing_of_another_model_is_taken(world, watch):
    inputs, features, probabilities = world.batch(3, 13)
    with pytest.raises(DataError, match=r"wants pictures \[n, 3, h, w\], but got pictures \[3, 1,"):
        watch.observe(inputs[:, :1], features, probabilities)
    with pytest.raises(DataError, match=r"wants features \[n, 16\]"):
        watch.observe(inputs, features[:, 1:], probabilities)
    with pytest.raises(DataError, match=r"wants probabilities \[n, 5\].*another for another model"):
        watch.observe(inputs, features, probabilities[:, 1:])
    watch.observe(inputs[:0], features[:0], probabilities[:0])
    assert len(watch) == 0


def test_a_model_without_probabilities_may_give_anything(world):
    inputs, features, _ = world.batch(100, 1)
    seen = Seen.of(inputs, features, None, pixels=PIXELS, one_class=False)
    reference = DriftReference.fit(seen, seen, pixels=PIXELS, n_classes=None)
    watch = DriftWatch(reference)
    watch.observe(inputs, features, torch.rand(100))
    assert not watch.verdict().drifted
    assert watch.verdict().compared == len(reference.names)


def test_a_verdict_is_read_by_people_and_machines(world, watch):
    only = F.one_hot(torch.tensor(1), CLASSES).float()
    watch.observe(*world.batch(60, 14, lambda x: 1 - x, shares=only))
    verdict = watch.verdict()
    lines = str(verdict).splitlines()
    assert lines[0] == "Drift: the last 60 pictures differ from those of training."
    assert len(lines) >= len(verdict.findings) + 1
    plain = json.loads(json.dumps(verdict.to_dict()))
    assert plain["drifted"] and plain["summary"] == lines[0]
    assert plain["findings"][0] == {
        "what": verdict.findings[0].what,
        "words": verdict.findings[0].words,
        "size": verdict.findings[0].size,
        "p": verdict.findings[0].p,
    }
    page = verdict._repr_html_()
    assert "<b>bee" not in page
    watch.clear()
    watch.observe(*world.batch(60, 15))
    assert str(watch.verdict()).startswith("No drift: the last 60 pictures are like those of")
