import numpy as np
import pytest

from presize.data.blocks import (
    AddMaskCodes,
    CategoryBlock,
    ImageBlock,
    MaskBlock,
    MultiCategoryBlock,
    PointBlock,
    RegressionBlock,
    TransformBlock,
)
from presize.data.images import PILImage, PILImageBW, PILMask
from presize.data.points import PointScaler, to_points
from presize.data.tensorise import IntToFloatTensor, ToTensor
from presize.data.vocab import EncodedMultiCategorize, MultiCategorize, OneHotEncode

BLOCKS = [
    (ImageBlock, None),
    (CategoryBlock, "classification"),
    (MultiCategoryBlock, "multilabel"),
    (RegressionBlock, "regression"),
    (MaskBlock, "segmentation"),
    (PointBlock, "points"),
]


@pytest.mark.parametrize(("block", "task"), BLOCKS)
def test_every_block_is_made_without_arguments_and_names_its_task(
    block: type[TransformBlock], task: str | None
) -> None:
    made = block()
    assert isinstance(made, TransformBlock)
    assert not callable(made)
    assert made.task == task
    assert made.item_tfms[0] is ToTensor
    assert made.type_tfms
    assert repr(made) == block.__name__


def test_image_blocks_read_their_kind_of_picture() -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    for block, kind in (
        (ImageBlock(), PILImage),
        (ImageBlock(PILImageBW), PILImageBW),
        (ImageBlock(cls=PILMask), PILMask),
    ):
        (create,) = block.type_tfms
        assert type(create(pixels)) is kind
        assert block.batch_tfms == [IntToFloatTensor]
    with pytest.raises(TypeError, match="takes a kind of picture, such as PILImage or PILImageBW"):
        ImageBlock("L")


def test_blocks_share_no_state() -> None:
    first, second = CategoryBlock(vocab=["a"]), CategoryBlock()
    assert first.type_tfms[0] is not second.type_tfms[0]
    assert list(first.type_tfms[0].vocab) == ["a"]


def test_several_labels() -> None:
    kinds = [type(step) for step in MultiCategoryBlock(add_na=True).type_tfms]
    assert kinds == [MultiCategorize, OneHotEncode]
    (encoded,) = MultiCategoryBlock(encoded=True, vocab=["a", "b"]).type_tfms
    assert isinstance(encoded, EncodedMultiCategorize)
    with pytest.raises(ValueError, match=r"needs the names of the classes: vocab=\[...\]"):
        MultiCategoryBlock(encoded=True)


def test_regression_masks_and_points() -> None:
    assert RegressionBlock(n_out=3).type_tfms[0].c == 3
    mask = MaskBlock(codes=["sky", "road"])
    codes = mask.item_tfms[1]
    assert isinstance(codes, AddMaskCodes)
    assert (list(codes.vocab), codes.c) == (["sky", "road"], 2)
    assert codes.spec() == {"codes": ["sky", "road"]}
    assert MaskBlock().item_tfms == [ToTensor]
    assert PointBlock().type_tfms == [to_points]
    assert PointBlock().item_tfms == [ToTensor, PointScaler]


def test_a_block_of_ones_own() -> None:
    block = TransformBlock(str.upper, [len], IntToFloatTensor(), dl_type=dict)
    assert block.type_tfms == [str.upper]
    assert block.item_tfms == [ToTensor, len]
    assert [type(step) for step in block.batch_tfms] == [IntToFloatTensor]
    assert (block.dl_type, block.task) == (dict, None)
