import threading

import numpy as np
import pytest
import torch
from torchvision import transforms as v1
from torchvision.transforms import v2

from presize.core.pipeline import Pipeline
from presize.core.transform import as_transform
from presize.data.foreign import Drew
from presize.data.images import PILImage, PILMask
from presize.data.torchvisiontfm import CountedDraws, TorchvisionTransform

DRAWS = {
    "rand": lambda: torch.rand(2),
    "rand of a size": lambda: torch.rand((2, 3), dtype=torch.float64),
    "randn": lambda: torch.randn(3),
    "randint": lambda: torch.randint(0, 100, (4,)),
    "randperm": lambda: torch.randperm(20),
    "normal": lambda: torch.normal(0.0, 1.0, (3,)),
    "bernoulli": lambda: torch.bernoulli(torch.full((40,), 0.5)),
    "multinomial": lambda: torch.ones(50).multinomial(3),
    "rand_like": lambda: torch.rand_like(torch.zeros(3, dtype=torch.float64)),
    "randn_like": lambda: torch.randn_like(torch.zeros(3), dtype=torch.float64),
    "uniform_": lambda: torch.empty(3).uniform_(2, 3),
    "normal_": lambda: torch.empty(3).normal_(),
    "random_": lambda: torch.empty(3).random_(),
    "beta": lambda: torch.distributions.Beta(torch.tensor([0.3]), torch.tensor([0.3])).sample(),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=list(DRAWS))
def test_draws_come_from_the_seed_alone(draw):
    before = torch.get_rng_state()
    with CountedDraws(7):
        first, second = draw(), draw()
    with CountedDraws(7):
        again = draw()
    with CountedDraws(8):
        other = draw()
    assert torch.equal(first, again) and first.dtype == again.dtype
    assert not torch.equal(first, second) and not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())
    with pytest.raises(Drew), CountedDraws(None):
        draw()


def test_the_shapes_and_types_are_as_without():
    for draw in DRAWS.values():
        plain = draw()
        with CountedDraws(1):
            counted = draw()
        assert (plain.shape, plain.dtype) == (counted.shape, counted.dtype)


def test_other_threads_draw_as_they_did():
    found = []

    def elsewhere():
        torch.manual_seed(3)
        found.append(torch.rand(4))

    with CountedDraws(7):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    torch.manual_seed(3)
    assert torch.equal(found[0], torch.rand(4))


def test_a_generator_that_is_given_is_kept():
    with CountedDraws(7):
        drawn = torch.rand(3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(1)))


def picture():
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    return PILImage.create(pixels)


@pytest.mark.parametrize(
    "transform",
    [
        v2.RandomResizedCrop(20),
        v2.RandomPhotometricDistort(),
        v2.RandomChoice([v2.GaussianBlur(3), v2.RandomAffine(20)]),
        v2.RandomOrder([v2.Pad(3), v2.RandomCrop(20)]),
        v2.TrivialAugmentWide(),
        v2.AugMix(),
        v2.RandomPerspective(p=1),
        v2.JPEG((5, 90)),
        v2.Compose([v2.ToImage(), v2.GaussianNoise(), v2.RandomErasing(p=1, value="random")]),
        v1.Compose([v1.RandomRotation(30), v1.RandomApply([v1.ColorJitter(0.5)])]),
        torch.nn.Sequential(v2.ScaleJitter((20, 20)), v2.RandomZoomOut()),
    ],
    ids=lambda t: type(t).__name__,
)
def test_all_that_torchvision_draws_is_counted(transform):
    x, made = picture(), as_transform(transform)
    assert isinstance(made, TorchvisionTransform)
    before = torch.get_rng_state()
    results = [made.call(x, [], seed)[0] for seed in (1, 2, 3, 4, 1, 2, 3, 4)]
    assert torch.equal(before, torch.get_rng_state())
    *drawn, first = [np.asarray(r).tobytes() for r in results]
    assert drawn[:4] == [*drawn[4:], first] and len(set(drawn)) > 1


def test_lists_in_lists_are_taken_apart_for_validation():
    steps = v2.Compose([v2.Compose([v2.Resize((8, 9)), v2.RandomRotation(90)]), v2.Grayscale()])
    x = picture()
    y = Pipeline([torch.nn.Sequential(steps, v2.RandomInvert(0.5))])(x, split_idx=1)
    want = v2.Grayscale()(v2.Resize((8, 9))(x)).convert("RGB")
    assert type(y) is PILImage and np.array_equal(np.asarray(y), np.asarray(want))


def test_the_older_ones_do_not_move_masks():
    pair = picture(), PILMask.create(np.zeros((48, 64), np.uint8))
    with pytest.raises(TypeError, match=r"use torchvision.transforms.v2.RandomRotation\."):
        Pipeline([v1.RandomRotation(20)])(pair)


def test_draws_that_cannot_be_counted_are_told():
    with pytest.warns(UserWarning, match="RandomChoice draws from Python's own .*v2 does"):
        Pipeline([v1.Compose([v1.RandomChoice([v1.ColorJitter()])])])


def test_something_else_than_a_picture():
    with pytest.raises(TypeError, match="Lambda of torchvision should give a picture.* gave str"):
        Pipeline([v2.Lambda(lambda im: "x")])(picture())
