import functools
import typing

import numpy as np
import pytest
import torch
from torch import Tensor

from presize.core.pipeline import Pipeline, set_split_idx
from presize.core.randomness import draws
from presize.core.transform import ItemTransform, RandTransform, Transform
from presize.tensors import TensorCategory, TensorImage, TensorMask, TitledStr


class Halve(Transform):
    def encodes(self, x: TensorImage) -> TensorImage:
        return x / 2

    def decodes(self, x: TensorImage) -> TensorImage:
        return x * 2


class AddOne(Transform):
    order = 5

    def encodes(self, x: int) -> int:
        return x + 1

    def decodes(self, x: int) -> int:
        return x - 1


class Double(Transform):
    order = 1

    def encodes(self, x: int) -> int:
        return x * 2

    def decodes(self, x: int) -> int:
        return x // 2


def picture():
    return TensorImage(torch.ones(3, 2, 2))


def test_the_annotation_decides_what_a_transform_is_for():
    image, label = Halve()((picture(), TensorCategory(3)))
    assert image[0, 0, 0] == 0.5
    assert int(label) == 3
    assert type(image) is TensorImage and type(label) is TensorCategory


def test_an_annotation_may_be_a_union_or_missing():
    class Both(Transform):
        def encodes(self, x: TensorImage | TensorMask):
            return x + 1

    class All(Transform):
        def encodes(self, x):
            return "seen"

    mask = TensorMask(torch.zeros(2, 2))
    assert [float(v.max()) for v in Both()((picture(), mask, TensorCategory(0)))] == [2, 1, 0]
    assert All()((1, "a")) == ("seen", "seen")


def test_a_plain_tensor_annotation_takes_every_tensor_but_no_number():
    def negate(x: Tensor) -> Tensor:
        return -x

    image, number = Transform(negate)((picture(), 4))
    assert float(image.max()) == -1 and number == 4
    assert type(image) is TensorImage


def test_a_tuple_annotation_and_an_item_transform_see_the_whole():
    class Swap(Transform):
        def encodes(self, x: tuple):
            return x[::-1]

    class Sum(ItemTransform):
        def encodes(self, x):
            a, b = x
            return (a + b, b)

    assert Swap()((1, 2)) == (2, 1)
    assert Sum()((1, 2)) == (3, 2)


def test_item_transforms_keep_the_types_of_the_elements():
    class Mix(ItemTransform):
        def encodes(self, x):
            return [x[0].as_subclass(Tensor) * 2, x[1]]

    image, label = Mix()((picture(), TensorCategory(1)))
    assert type(image) is TensorImage and type(label) is TensorCategory


def test_strings_keep_their_display_type():
    assert type(Transform(str.upper)(TitledStr("cat"))) is TitledStr


def test_pipeline_sorts_by_order_whatever_the_listing():
    assert Pipeline([AddOne(), Double()])(3) == 7
    assert Pipeline([Double(), AddOne()])(3) == 7
    assert Pipeline([AddOne(), Double()]).decode(7) == 3


def test_functions_classes_and_instances_mix():
    def minus(x: int) -> int:
        return x - 3

    minus.order = 9
    assert Pipeline([minus, AddOne, Double()])(3) == 4
    assert Pipeline(None)(5) == 5
    assert Pipeline(str)(5) == "5"


def test_something_that_is_no_function_is_refused():
    with pytest.raises(TypeError, match="made of transforms and functions, but got 3"):
        Pipeline([3])


def test_split_limits_a_transform_as_argument_and_as_attribute():
    class Train(Double):
        split_idx = 0

    for t in (Train(), Transform(lambda x: x * 2, split_idx=0)):
        assert t(3, split_idx=0) == 6
        assert t(3, split_idx=1) == 3
        assert t(3) == 6
    limited = Double()
    set_split_idx(limited, 1)
    assert Pipeline([limited], split_idx=0)(3) == 3


def test_setup_sees_training_items_that_passed_the_transforms_before():
    class Items(list):
        train = [1, 2]

    class Largest(Transform):
        order = 3
        value = None

        def setups(self, items):
            self.value = max(items)

        def encodes(self, x):
            return x

    pipeline = Pipeline([Largest(), Double()])
    pipeline.setup(Items([1, 2, 50]))
    assert pipeline.find("value") == pipeline.value == 4


def test_find_names_what_is_there():
    with pytest.raises(AttributeError, match="has an attribute `vocap`"):
        _ = Pipeline([Double()]).vocap


def test_show_decodes_up_to_the_first_type_that_shows_itself(capsys):
    class Named(Transform):
        def encodes(self, x):
            return 0

        def decodes(self, x: int) -> str:
            return TitledStr("cat")

    Pipeline([Named()]).show(0)
    Pipeline([AddOne()]).show(1)
    assert capsys.readouterr().out == "cat\n0\n"


def test_neighbours_fuse():
    class Plus(Transform):
        def __init__(self, n):
            super().__init__()
            self.n = n

        def encodes(self, x: int) -> int:
            return x + self.n

        def fuse(self, following):
            return Plus(self.n + following.n) if isinstance(following, Plus) else None

    pipeline = Pipeline([Plus(1), Plus(2), Double(), Plus(4)])
    fused = pipeline.fused()
    assert len(fused) == 3 or len(fused) == 2
    assert fused(1) == pipeline(1)
    assert [f.n for f in Pipeline([Plus(1), Plus(2)]).fused()] == [3]


def test_random_transforms_give_a_tuple_one_draw():
    class Jitter(RandTransform):
        def encodes(self, x: TensorImage | TensorMask):
            return x + float(draws("jitter").uniform()[0])

    image, mask = Jitter()((picture(), TensorMask(torch.ones(2, 2))))
    assert torch.equal(image[0], mask)
    assert not torch.equal(Jitter()(picture()), Jitter()(picture()))


def test_names_print_as_in_a_summary():
    assert repr(Pipeline([Halve(), functools.partial(np.add, 1)])) == "Pipeline: Halve -> partial"


def test_an_annotation_may_be_a_tuple_of_classes_as_isinstance_takes():
    class Twice(Transform):
        def encodes(self, x: (int, str)):
            return x * 2

    assert Twice()((1, "a", 1.5)) == (2, "aa", 1.5)


def test_a_method_for_each_type_is_warned_of_and_can_be_written_otherwise():
    with pytest.warns(UserWarning, match="Last defines `encodes` more than once.*isinstance"):

        class Last(Transform):
            def encodes(self, x: int):
                return x + 1

            def encodes(self, x: str):  # noqa: F811 - what is warned of
                return x + "!"

    assert Last()((1, "a")) == (1, "a!")

    class Each(Transform):
        @functools.singledispatchmethod
        def encodes(self, x):
            return x

        @encodes.register
        def _(self, x: int):
            return x + 1

        @encodes.register
        def _(self, x: str):
            return x + "!"

    assert Each()((1, "a", 2.5)) == (2, "a!", 2.5)

    class Typed(Transform):
        @typing.overload
        def encodes(self, x: int) -> int: ...
        @typing.overload
        def encodes(self, x: str) -> str: ...
        def encodes(self, x):
            return x * 2

    assert Typed()((1, "a")) == (2, "aa")
