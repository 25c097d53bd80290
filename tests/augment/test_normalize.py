import copy

import pytest
import torch
from torch import Tensor

from presize.augment.normalize import Normalize
from presize.augment.presets import imagenet_stats, mnist_stats
from presize.core.errors import DataError
from presize.core.pipeline import Pipeline
from presize.data.tensorise import IntToFloatTensor
from presize.tensors import TensorCategory, TensorImage, TensorMask


def plain(x: Tensor) -> Tensor:
    return x.as_subclass(Tensor)


def batch(n: int = 4) -> TensorImage:
    return TensorImage(torch.randint(0, 256, (n, 3, 8, 8), dtype=torch.uint8))


def test_known_statistics_on_batches_and_items() -> None:
    x = TensorImage(plain(batch()) / 255)
    normalize = Normalize.from_stats(*imagenet_stats)
    mean, std = (torch.tensor(s)[:, None, None] for s in imagenet_stats)
    torch.testing.assert_close(plain(normalize(x)), (plain(x) - mean) / std)
    torch.testing.assert_close(
        plain(normalize(TensorImage(plain(x)[0]))), (plain(x)[0] - mean) / std
    )
    assert type(normalize(x)) is TensorImage
    torch.testing.assert_close(plain(normalize.decode(normalize(x))), plain(x))
    mask = TensorMask(torch.ones(4, 8, 8))
    assert normalize((x, mask))[1] is mask


def test_statistics_are_learned_from_one_batch_and_decoding_gives_integers_again() -> None:
    batches = [(batch(), TensorCategory(torch.zeros(4))) for _ in range(3)]
    pipe = Pipeline([Normalize(), IntToFloatTensor()])
    pipe.setup(batches)
    out = plain(pipe(batches[0])[0])
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(out.std((0, 2, 3)), torch.ones(3), rtol=0, atol=1e-4)
    assert pipe.mean.shape == (1, 3, 1, 1)
    decoded = pipe.decode(pipe(batches[0]))[0]
    assert decoded.dtype == torch.uint8
    assert torch.equal(plain(decoded), plain(batches[0][0]))


def test_given_statistics_are_not_learned_over() -> None:
    normalize = Normalize.from_stats(*imagenet_stats)
    normalize.setup([(TensorImage(torch.rand(2, 3, 4, 4)),)])
    assert normalize.mean is not None
    assert normalize.mean.flatten().tolist() == pytest.approx(imagenet_stats[0])


def test_copies_learn_apart() -> None:
    original = Normalize()
    dark, bright = copy.copy(original), copy.copy(original)
    for normalize, level in ((dark, 0.2), (bright, 0.7)):
        x = TensorImage(torch.rand(2, 3, 4, 4) * 0.1 + level)
        normalize.setup([x])
        torch.testing.assert_close(plain(normalize(x)).mean(), torch.tensor(0.0), rtol=0, atol=1e-4)


def test_it_can_be_made_again() -> None:
    normalize = Normalize()
    assert repr(normalize) == "Normalize -- learned from a batch"
    normalize.setup([TensorImage(torch.rand(2, 3, 4, 4))])
    twin = Normalize(**normalize.spec())  # type: ignore[arg-type]
    x = TensorImage(torch.rand(2, 3, 4, 4))
    torch.testing.assert_close(plain(twin(x)), plain(normalize(x)), rtol=0, atol=0)
    text = "Normalize -- {'mean': [0.131], 'std': [0.308]}"
    assert repr(Normalize.from_stats(*mnist_stats)) == text


def test_errors_say_what_to_do() -> None:
    x = TensorImage(torch.rand(2, 3, 4, 4))
    with pytest.raises(DataError, match=r"no mean and std yet.*Normalize\.from_stats"):
        Normalize()(x)
    with pytest.raises(DataError, match=r"statistics of 3 channels, but these pictures have 1"):
        Normalize.from_stats(*imagenet_stats)(TensorImage(torch.rand(2, 1, 4, 4)))
    with pytest.raises(TypeError, match=r"got uint8\. Put IntToFloatTensor\(\) before"):
        Normalize.from_stats(*imagenet_stats)(batch())
    with pytest.raises(ValueError, match=r"both mean and std"):
        Normalize(mean=[0.5])
    with pytest.raises(ValueError, match=r"std must be above 0, got \[0\.0\]"):
        Normalize([0.5], [0.0])
    with pytest.raises(ValueError, match=r"mean has 3 numbers and std 1"):
        Normalize([0.5] * 3, [1.0])
    with pytest.raises(DataError, match=r"pictures of a batch, but got \['int'\]"):
        Normalize().setup([3])
