import json
import pickle
from functools import partial

import numpy as np
import pytest
import torch

from presize.core.collections import L
from presize.core.errors import DataError
from presize.core.paths import Path
from presize.core.pipeline import Pipeline
from presize.data.labels import RegexLabeller, parent_label, using_attr
from presize.data.vocab import (
    Categorize,
    Category,
    EncodedMultiCategorize,
    MultiCategorize,
    MultiCategory,
    OneHotEncode,
)
from presize.tensors import TensorCategory, TensorMultiCategory

FILES = [Path(f"train/{label}/{i}.jpg") for label in ("dog", "cat") for i in range(3)]


def set_up(*functions, items=FILES) -> Pipeline:
    pipeline = Pipeline(functions)
    pipeline.setup(items)
    return pipeline


def test_categorize_learns_encodes_and_decodes(capsys) -> None:
    pipeline = set_up(parent_label, Categorize)
    y = pipeline(FILES[0])
    assert type(y) is TensorCategory and repr(y) == "TensorCategory(1)" and y.dtype == torch.int64
    assert (
        pipeline.vocab == ["cat", "dog"]
        and pipeline.c == 2
        and pipeline.o2i == {"cat": 0, "dog": 1}
    )
    back = pipeline.decode(y)
    assert back == "dog" and isinstance(back, Category)
    pipeline.show(y)
    assert capsys.readouterr().out == "dog\n"


def test_categorize_prints_its_vocabulary_before_and_after_set_up() -> None:
    categorize = Categorize()
    f = using_attr(RegexLabeller(r"(\d)"), "name")
    assert repr(Pipeline([f, categorize])) == (
        "Pipeline: partial -> Categorize -- {'vocab': None, 'add_na': False}"
    )
    categorize.setup(["b", "a"])
    assert repr(categorize) == "Categorize -- {'vocab': (#2) ['a','b'], 'add_na': False}"


def test_categorize_decodes_what_models_give() -> None:
    categorize = Categorize(["a", "b", "c"])
    for one in (torch.tensor(2), TensorCategory(2), 2, np.int64(2)):
        assert categorize.decode(one) == "c"
    assert categorize.decode(torch.tensor([2, 0])) == ["c", "a"]
    assert categorize.decode("b") == "b"  # decoded already
    with pytest.raises(
        ValueError, match=r"no class number 3: the vocabulary has 3 classes, 0 to 2"
    ):
        categorize.decode(3)


def test_a_vocabulary_that_is_given() -> None:
    assert Categorize(["dog", "cat"]).vocab == ["cat", "dog"]
    assert Categorize(["dog", "cat"], sort=False).vocab == ["dog", "cat"]
    kept = Categorize(vocab=["dog", "cat"], sort=False, add_na=True)
    kept.setup(["cow"])
    assert kept.vocab == ["#na#", "dog", "cat"] and kept("dog") == 1 and kept("cow") == 0


def test_add_na_takes_missing_and_unknown_labels() -> None:
    categorize = Categorize(add_na=True)
    categorize.setup(["dog", None, "cat", float("nan")])
    assert categorize.vocab == ["#na#", "cat", "dog"] and categorize.c == 3
    assert [int(categorize(o)) for o in (None, "cow", "dog", float("nan"))] == [0, 0, 2, 0]
    assert categorize.decode(0) == "#na#"


def test_labels_may_be_numbers_of_any_library() -> None:
    categorize = Categorize()
    categorize.setup([np.int64(7), torch.tensor(3), 7])
    assert categorize.vocab == [3, 7] and type(categorize.vocab[0]) is int
    assert categorize(np.int32(7)) == 1 and categorize.decode(1) == 7


def test_set_up_sees_only_what_it_is_given_and_happens_once() -> None:
    categorize = Categorize()
    categorize.setup(["a", "b"])
    categorize.setup(["c", "d"])
    assert categorize.vocab == ["a", "b"]


@pytest.mark.parametrize(
    ("label", "near"),
    [
        ("Cat", r"It differs from 'cat' only in capital letters\."),
        ("cat ", r"It differs from 'cat' only in white space\."),
        (" CAT", r"It differs from 'cat' only in capital letters and white space\."),
        ("catt", r"Did you mean `cat`\?"),
        ("7", r"It is '7' \(str\), and the vocabulary has 7 \(int\)"),
        ("zebra", r"classes: `cat`, `dog`, `7`\. Ways out"),
    ],
)
def test_a_label_of_validation_that_training_has_not(label: str, near: str) -> None:
    categorize = Categorize(sort=False)
    categorize.setup(["cat", "dog", 7])
    with pytest.raises(DataError, match=near) as error:
        categorize(label)
    text = str(error.value)
    assert text.startswith(f"The label `{label}` is in validation (or test) but not in training")
    for way_out in ("stratify", "vocab=[...]", "add_na=True"):
        assert way_out in text


def test_an_unknown_label_where_the_vocabulary_was_given() -> None:
    with pytest.raises(
        DataError, match=r"`cow` is not among the 2 classes.*given \(`cat`, `dog`\)"
    ):
        Categorize(["cat", "dog"])("cow")


def test_labels_that_never_repeat_are_probably_file_names() -> None:
    categorize = Categorize()
    categorize.setup([f"{i}.jpg" for i in range(30)])
    with pytest.raises(DataError, match="All training items have different labels: `get_y` seems"):
        categorize("77.jpg")


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (["cat", "dog"], r"One label is expected.*\['cat', 'dog'\] \(list\).*MultiCategoryBlock"),
        (["cat"], "If there is one, return it without the list"),
        (("cat", "dog"), r"One label is expected.*\(tuple\)"),
        (np.array(["a", "b"]), r"One label is expected.*\(ndarray\)"),
        (None, r"A label is missing \(`get_y` gave None.*add_na=True"),
        (float("nan"), r"A label is missing"),
        (Path("a/b.jpg"), r"gave `a/b.jpg` \(Path\).*parent_label.*RegexLabeller"),
        ({"a": 1}, r"text or a number.*\(dict\).*str\(...\)"),
    ],
)
def test_a_label_of_the_wrong_type_is_named_with_its_item(label: object, text: str) -> None:
    def get_y(o: Path) -> object:
        return label if o == FILES[4] else parent_label(o)

    with pytest.raises(DataError, match=rf"(?s){text}") as error:
        set_up(get_y, Categorize)
    assert "The item is number 4 of the training set, `train/cat/1.jpg`." in str(error.value)
    if not isinstance(label, tuple):  # a tuple is several values to a transform
        with pytest.raises(DataError, match=rf"(?s){text}"):
            Categorize(["a"])(label)


def test_a_pattern_that_matches_nothing_shows_two_names() -> None:
    with pytest.raises(DataError) as error:
        set_up(RegexLabeller(r"_(\d+)x"), Categorize)
    text = str(error.value)
    assert "`_(\\d+)x` matches none of the 6 names" in text
    assert "`train/dog/0.jpg` and `train/dog/1.jpg`" in text


def test_a_pattern_that_misses_a_few_tells_how_many() -> None:
    with pytest.raises(DataError, match=r"does not match 3 of the 6 names: `train/dog/0.jpg` and"):
        set_up(RegexLabeller(r"(cat)/"), Categorize)
    with pytest.raises(DataError, match=r"does not match `x`\."):
        set_up(RegexLabeller(r"(cat)/"), Categorize, items=[*FILES[3:], "x"])


def test_before_set_up_there_is_a_clear_error() -> None:
    with pytest.raises(DataError, match="Categorize has no vocabulary yet: set it up"):
        Categorize()("cat")
    with pytest.raises(DataError, match="OneHotEncode does not know the number of classes"):
        OneHotEncode()([1])


ITEMS = [["dog", "ant"], [], ("cat",), {"dog", "cat"}, L("dog"), np.array(["ant"])]


def test_multi_categorize_and_one_hot() -> None:
    pipeline = set_up(OneHotEncode, MultiCategorize, items=ITEMS)
    assert [f.name for f in pipeline] == ["MultiCategorize", "OneHotEncode"]
    assert pipeline.vocab == ["ant", "cat", "dog"] and pipeline.c == 3 and pipeline[1].c == 3
    encoded = [pipeline(item) for item in ITEMS]
    assert all(type(y) is TensorMultiCategory and y.dtype == torch.float32 for y in encoded)
    assert [y.tolist() for y in encoded] == [
        [1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 0],
    ]  # fmt: skip
    decoded = pipeline.decode(encoded[0])
    assert isinstance(decoded, MultiCategory) and decoded == ["ant", "dog"]
    assert pipeline.decode(torch.tensor([True, False, False])) == ["ant"]
    assert pipeline.decode(encoded[1]) == []


def test_multi_categorize_alone() -> None:
    categorize = MultiCategorize(["dog", "cat"])
    assert categorize.vocab == ["dog", "cat"]  # as given
    numbers = categorize(["cat", "dog"])
    assert type(numbers) is TensorMultiCategory and numbers.tolist() == [1, 0]
    assert categorize([]).dtype == torch.int64
    assert categorize.decode(numbers) == ["cat", "dog"]
    assert MultiCategorize(["a"], add_na=True)(["zzz", None, "a"]).tolist() == [0, 0, 1]


def test_one_hot_takes_all_classes_of_a_given_vocabulary() -> None:
    pipeline = set_up(MultiCategorize(["a", "b", "c", "d"]), OneHotEncode, items=[["a"], ["b"]])
    assert len(pipeline(["a"])) == 4
    alone = OneHotEncode()
    alone.setup([[0, 2], [1]])
    assert alone.c == 3 and alone([0, 2]).tolist() == [1, 0, 1]
    assert repr(OneHotEncode(5)) == "OneHotEncode -- {'c': 5}"


def test_multi_categorize_refuses_what_is_no_list() -> None:
    with pytest.raises(DataError, match=r"list of labels.*'a b' \(str\).*label_delim=' '"):
        set_up(MultiCategorize, items=[["a"], "a b"])
    with pytest.raises(DataError, match=r"gave 3 \(int\).*number 1 of the training set, 3"):
        set_up(MultiCategorize, items=[["a"], 3])
    with pytest.raises(DataError, match=r"`b` is in validation.* `MultiCategoryBlock\(vocab="):
        set_up(MultiCategorize, items=[["a"]])(["b"])
    with pytest.raises(DataError, match=r"One label is expected.*\(list\)"):
        set_up(MultiCategorize, items=[[["a"]]])


def test_encoded_multi_categorize() -> None:
    encoded = EncodedMultiCategorize(["z", "a"])
    y = encoded([1, 0])
    assert type(y) is TensorMultiCategory and y.dtype == torch.float32 and y.tolist() == [1, 0]
    assert encoded.vocab == ["z", "a"] and encoded.c == 2
    assert encoded.decode(y) == ["z"] and encoded.decode(torch.tensor([True, True])) == ["z", "a"]
    assert encoded(np.array([True, False])).tolist() == [1, 0]
    with pytest.raises(DataError, match=r"2 values of 0 or 1.*gave \[1, 0, 1\]"):
        encoded([1, 0, 1])
    with pytest.raises(DataError, match=r"0 or 1 \(or between\)"):
        encoded([1, 5])
    with pytest.raises(DataError, match=r"\['z'\]"):
        encoded(["z"])


def rebuilt(transform):
    return type(transform)(**json.loads(json.dumps(transform.spec())))


@pytest.mark.parametrize("add_na", [False, True])
@pytest.mark.parametrize("kind", [Categorize, MultiCategorize])
def test_spec_makes_the_same_transform_again(kind, add_na: bool) -> None:
    transform = kind(add_na=add_na)
    transform.setup(["b", "a"] if kind is Categorize else [["b"], ["a"]])
    for again in (rebuilt(transform), pickle.loads(pickle.dumps(transform))):
        assert again.vocab == transform.vocab and again.add_na == add_na and again.c == transform.c
    kept = partial(Categorize, sort=False) if kind is Categorize else kind
    assert rebuilt(kept(["b", "a"])).vocab == ["b", "a"]
    assert rebuilt(OneHotEncode(4)).c == 4
    assert rebuilt(EncodedMultiCategorize(["b", "a"])).vocab == ["b", "a"]
