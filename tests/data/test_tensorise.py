import numpy as np
import pytest
import torch
from PIL import Image

from presize.core.pipeline import Pipeline
from presize.data.images import PILImage, PILImageBW, PILMask
from presize.data.tensorise import IntToFloatTensor, ToTensor
from presize.tensors import TensorCategory, TensorImage, TensorImageBW, TensorMask

PIXELS = np.random.default_rng(5).integers(0, 256, (6, 9, 3), dtype=np.uint8)
PLANE = PIXELS[..., 1]


def test_pictures_become_tensors_of_their_kind() -> None:
    colour, gray, mask = ToTensor()(
        (PILImage.create(PIXELS), PILImageBW.create(PLANE), PILMask.create(PLANE))
    )
    assert (type(colour), type(gray), type(mask)) == (TensorImage, TensorImageBW, TensorMask)
    assert np.array_equal(colour.numpy(), PIXELS.transpose(2, 0, 1))
    assert np.array_equal(gray.numpy(), PLANE[None])
    assert np.array_equal(mask.numpy(), PLANE)
    for made in (colour, gray, mask):
        assert made.dtype == torch.uint8
        assert made.is_contiguous()
        made[:] = 0  # the memory is its own: no warning, no effect on the picture


def test_plain_pil_images_count_by_their_mode() -> None:
    plain = Image.fromarray(PIXELS)
    to_tensor = ToTensor()
    assert torch.equal(to_tensor(plain), to_tensor(PILImage.create(PIXELS)))
    assert type(to_tensor(plain.convert("L"))) is TensorImageBW
    assert to_tensor(plain.convert("RGBA")).shape == (3, 6, 9)
    assert type(to_tensor(PILImage.create(PIXELS).convert("L"))) is TensorImageBW


def test_other_values_pass() -> None:
    label = TensorCategory(3)
    _, same = ToTensor()((PILImage.create(PIXELS), label))
    assert same is label


def test_floats_for_the_model_and_integers_back() -> None:
    image = TensorImage(torch.arange(256, dtype=torch.uint8).expand(2, 3, 1, 256))
    mask, label = TensorMask(torch.tensor([[[0, 3]]], dtype=torch.uint8)), TensorCategory([1, 2])
    scale = IntToFloatTensor()
    floats, numbers, same = scale((image, mask, label))
    assert type(floats) is TensorImage
    assert floats.dtype == torch.float32
    assert torch.equal(floats.as_subclass(torch.Tensor), torch.as_tensor(image).float() / 255)
    assert (type(numbers), numbers.dtype, numbers.tolist()) == (TensorMask, torch.int64, [[[0, 3]]])
    assert same is label
    back, mask_back, _ = scale.decode((floats, numbers, label))
    assert (type(back), back.dtype) == (TensorImage, torch.uint8)
    assert torch.equal(back, image)
    assert mask_back.tolist() == [[[0, 3]]]


def test_decoding_stays_in_range_and_takes_half_precision() -> None:
    odd = TensorImage(torch.tensor([[[-0.3, 0.5, 1.7]]]))
    assert IntToFloatTensor().decode(odd).tolist() == [[[0, 128, 255]]]
    assert IntToFloatTensor().decode(TensorImage(odd.half())).tolist() == [[[0, 128, 255]]]
    assert torch.equal(odd, TensorImage(torch.tensor([[[-0.3, 0.5, 1.7]]])))  # left as it was


def test_floats_are_not_divided_twice() -> None:
    floats = TensorImage(torch.rand(3, 2, 2))
    assert torch.equal(IntToFloatTensor()(floats), floats)


def test_masks_of_0_and_255() -> None:
    scale = IntToFloatTensor(div_mask=255)
    mask = TensorMask(torch.tensor([[0, 255]], dtype=torch.uint8))
    assert scale(mask).tolist() == [[0, 1]]
    assert scale.decode(scale(mask)).tolist() == [[0, 255]]
    with pytest.raises(ValueError, match="divides by positive numbers, but got div=0"):
        IntToFloatTensor(div=0)


def test_print_order_and_spec() -> None:
    assert repr(IntToFloatTensor()) == "IntToFloatTensor -- {'div': 255.0, 'div_mask': 1}"
    assert repr(Pipeline([IntToFloatTensor, ToTensor])) == (
        "Pipeline: ToTensor -> IntToFloatTensor -- {'div': 255.0, 'div_mask': 1}"
    )
    assert repr(IntToFloatTensor(**IntToFloatTensor(2, 3).spec())) == (
        "IntToFloatTensor -- {'div': 2.0, 'div_mask': 3}"
    )
    assert ToTensor().spec() == {}
