import pytest
import torch
from torch import Tensor

from presize.augment.colour import Brightness, Contrast, Hue, Saturation
from presize.augment.fused import ColourTfm
from presize.core.randomness import sample_context
from presize.tensors import TensorImage, TensorImageBW, TensorMask, TensorPoint

KINDS = [Brightness, Contrast, Saturation, Hue]


def pictures(n: int = 3) -> TensorImage:
    return TensorImage(torch.rand(n, 3, 8, 9, generator=torch.Generator().manual_seed(0)))


def plain(x: Tensor) -> Tensor:
    return x.as_subclass(Tensor)


@pytest.mark.parametrize("kind", KINDS)
def test_colour_leaves_masks_points_and_validation_alone(kind: type[Brightness]) -> None:
    x, mask = pictures(), TensorMask(torch.ones(3, 8, 9, dtype=torch.long))
    points = TensorPoint(torch.zeros(3, 2, 2))
    image, same_mask, same_points = kind(p=1.0)((x, mask, points), split_idx=0)
    assert same_mask is mask
    assert same_points is points
    assert type(image) is TensorImage
    assert not torch.equal(plain(image), plain(x))
    assert kind(p=1.0)(x, split_idx=1) is x
    assert torch.equal(plain(kind(p=0)(x)), plain(x))


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_per_picture_and_reproducible(kind: type[Brightness]) -> None:
    same = TensorImage(plain(pictures(1)).repeat(3, 1, 1, 1))
    with sample_context(1, 0, [4, 5, 6]):
        out, again = plain(kind(p=1.0)(same)), plain(kind(p=1.0)(same))
    with sample_context(1, 0, [5]):
        alone = plain(kind(p=1.0)(pictures(1)))
    assert torch.equal(out, again)
    torch.testing.assert_close(out[1:2], alone, rtol=0, atol=1e-6)
    assert not torch.equal(out[0], out[1])
    together = plain(kind(p=1.0, batch=True)(same))
    torch.testing.assert_close(together[0], together[2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_items_gray_pictures_and_specs(kind: type[Brightness]) -> None:
    item = kind(p=1.0, draw=0.6)(pictures()[0].as_subclass(TensorImage))
    assert item.shape == (3, 8, 9)
    gray = TensorImageBW(torch.rand(2, 1, 8, 9))
    assert type(kind(p=1.0)(gray)) is TensorImageBW
    transform = kind(0.3, draw=0.4)
    assert kind(**transform.spec()).spec() == transform.spec()  # type: ignore[arg-type]


def test_values_stay_in_range_and_draws_within_theirs() -> None:
    x = TensorImage(torch.full((2000, 1, 1, 1), 0.5))
    levels = plain(Brightness(0.4, p=1.0)(x)).flatten()
    assert 0.29 < float(levels.min()) < 0.32 < 0.68 < float(levels.max()) < 0.71
    factors = torch.logit(plain(Contrast(0.2, p=1.0)(TensorImage(plain(x) * 0 + 0.7)))).flatten()
    factors = factors / torch.logit(torch.tensor(0.7))
    assert 0.79 < float(factors.min()) < 0.82 < 1.22 < float(factors.max()) < 1.26


def test_notebook_methods_do_what_the_transforms_do() -> None:
    x = pictures()
    for got, transform in [
        (x.brightness(draw=0.7, p=1.0), Brightness(draw=0.7, p=1.0)),
        (x.contrast(draw=1.5, p=1.0), Contrast(draw=1.5, p=1.0)),
        (x.saturation(draw=1.5, p=1.0), Saturation(draw=1.5, p=1.0)),
    ]:
        torch.testing.assert_close(plain(got), plain(transform(x)))


def test_a_users_own_colour() -> None:
    class Invert(ColourTfm):
        def recolour(self, x: Tensor) -> Tensor:
            return 1 - x

    x = pictures()
    torch.testing.assert_close(plain(Invert(1.0, None, False)(x)), 1 - plain(x))


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"Contrast: max_lighting must be in 0\.\.1.* got 1\.2"):
        Contrast(1.2)
    with pytest.raises(ValueError, match=r"Hue: max_hue must be in 0\.\.1"):
        Hue(-0.1)
    with pytest.raises(ValueError, match=r"p is a probability"):
        Brightness(p=-1)
    with pytest.raises(TypeError, match=r"Put IntToFloatTensor\(\) before"):
        Brightness(p=1.0)(TensorImage(torch.zeros(1, 3, 4, 4, dtype=torch.uint8)))
