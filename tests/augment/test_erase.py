import pytest
import torch
from torch import Tensor

from presize.augment.erase import RandomErasing
from presize.core.randomness import sample_context
from presize.tensors import TensorImage


def plain(x: Tensor) -> Tensor:
    return x.as_subclass(Tensor)


def blank(n: int = 64) -> TensorImage:
    return TensorImage(torch.full((n, 3, 40, 50), 100.0))


def test_boxes_of_noise_with_the_area_asked_for() -> None:
    x = blank(200)
    with sample_context(0, 0, list(range(200))):
        out = plain(RandomErasing(p=1.0, sl=0.1, sh=0.3)(x))
    assert torch.equal(plain(x), torch.full((200, 3, 40, 50), 100.0))
    erased = (out != 100).all(1)
    share = erased.float().mean((1, 2))
    assert 0.07 < float(share.min()) < 0.12
    assert 0.27 < float(share.max()) < 0.32
    # Each is one full box: its rows times its columns is its area.
    assert torch.equal(erased.any(1).sum(1) * erased.any(2).sum(1), erased.sum((1, 2)))
    noise = out[(out != 100)]
    assert abs(float(noise.mean())) < 0.05
    assert float(noise.std()) == pytest.approx(1, abs=0.05)


def test_each_picture_has_its_own_chance_box_and_noise() -> None:
    with sample_context(3, 1, list(range(64))):
        out = plain(RandomErasing(p=0.5, sl=0.1)(blank()))
    touched = (out != 100).flatten(1).any(1)
    assert 20 < int(touched.sum()) < 44
    first, second, *_ = out[touched]
    assert not torch.equal(first, second)
    index = int(touched.nonzero()[0])
    with sample_context(3, 1, [index]):
        alone = plain(RandomErasing(p=0.5, sl=0.1)(blank(1)))
    assert torch.equal(alone[0], out[index])


def test_several_boxes_share_the_area() -> None:
    out = plain(RandomErasing(p=1.0, sl=0.3, sh=0.3, max_count=4)(blank(100)))
    share = (out != 100).all(1).float().mean((1, 2))
    assert float(share.max()) < 0.33
    full = (out != 100).all(1)
    boxes = full.any(1).sum(1) * full.any(2).sum(1) != full.sum((1, 2))
    assert bool(boxes.any())


def test_items_validation_and_spec() -> None:
    item = TensorImage(plain(blank(1))[0])
    out = RandomErasing(p=1.0, sl=0.2)(item)
    assert type(out) is TensorImage
    assert out.shape == (3, 40, 50)
    assert RandomErasing(p=1.0)(item, split_idx=1) is item
    assert torch.equal(plain(RandomErasing(p=0)(item)), plain(item))
    transform = RandomErasing(0.3, 0.1, 0.2, min_aspect=0.5, max_count=2)
    assert RandomErasing(**transform.spec()).spec() == transform.spec()  # type: ignore[arg-type]


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"0 <= sl <= sh <= 1, got sl=0\.5 and sh=0\.3"):
        RandomErasing(sl=0.5)
    with pytest.raises(ValueError, match=r"max_count at least 1"):
        RandomErasing(max_count=0)
