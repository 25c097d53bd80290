import copy
import pickle
import re
from pathlib import Path as PlainPath
from pathlib import PureWindowsPath

import pandas as pd
import pytest

from presize.core.collections import L
from presize.core.paths import Path
from presize.core.pipeline import Pipeline
from presize.data.labels import (
    ColReader,
    NoMatchError,
    RegexLabeller,
    explain_no_match,
    parent_label,
    using_attr,
)

BREED = r"(.+)_\d+.jpg$"


def test_regex_labeller_searches() -> None:
    f = RegexLabeller(r"(\d+)\.png")
    assert f("train/x12.png") == f(Path("train/x12.png")) == "12"
    assert RegexLabeller(re.compile("(CAT)", re.I))("a cat") == "cat"


def test_regex_labeller_matches_from_the_start() -> None:
    f = RegexLabeller(r"(\d+)_", match=True)
    assert f("12_a_34_b") == "12"
    with pytest.raises(NoMatchError, match=r"from its start\. It does match further on"):
        f("x12_a")


def test_regex_labeller_sees_slashes_on_every_system() -> None:
    assert RegexLabeller(r"/(\w+)/[^/]+$")(PureWindowsPath(r"C:\data\cat\1.jpg")) == "cat"


def test_a_name_that_does_not_match_is_shown_with_the_pattern() -> None:
    with pytest.raises(NoMatchError) as error:
        RegexLabeller(r"^(.+)_\d+\.png$")("images/beagle_1.jpg")
    assert r"`^(.+)_\d+\.png$` does not match `images/beagle_1.jpg`" in str(error.value)
    assert error.value.name == "images/beagle_1.jpg"
    with pytest.raises(NoMatchError, match=r"does match the file name alone.*using_attr"):
        RegexLabeller(r"^([a-z]+)_\d+")(Path("images/beagle_1.jpg"))
    with pytest.raises(NoMatchError):  # the group takes no part in the match
        RegexLabeller(r"(cat)?_\d")("dog_1")


def test_useless_patterns_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r"`\\w\+` has no group: put round brackets"):
        RegexLabeller(r"\w+")
    with pytest.raises(ValueError, match=r"`\(` is not a regular expression"):
        RegexLabeller("(")


def test_wrong_items_are_refused() -> None:
    with pytest.raises(TypeError, match=r"but got 3 \(int\).*ColReader"):
        RegexLabeller("(a)")(3)  # type: ignore[arg-type]


def test_explain_no_match_shows_two_names_and_the_pattern() -> None:
    text = explain_no_match("(x)", ["a/1.jpg", Path("b/2.jpg"), "c"])
    assert "`(x)` matches none of the 3 names" in text and "`a/1.jpg` and `b/2.jpg`" in text
    text = explain_no_match("(x)", ["a", "b", "c"], total=10)
    assert "does not match 3 of the 10 names: `a` and `b`, ..." in text
    # The advice to take the file name alone is for paths only.
    assert "using_attr" in explain_no_match("(x)", ["a/1.jpg"])
    assert "using_attr" not in explain_no_match("(x)", ["1.jpg", "2.jpg"])


def test_parent_label() -> None:
    assert parent_label(Path("train/cat/1.jpg")) == parent_label("train/cat/1.jpg") == "cat"
    assert parent_label(PlainPath("/cat/1.jpg")) == "cat"
    with pytest.raises(ValueError, match=r"`1.jpg` is not in a folder"):
        parent_label("1.jpg")


def test_using_attr() -> None:
    f = using_attr(RegexLabeller(BREED), "name")
    assert f(Path("images/great_dane_12.jpg")) == "great_dane"
    assert repr(Pipeline([f])) == "Pipeline: partial"
    assert Pipeline([f])(Path("images/pug_3.jpg")) == "pug"
    assert pickle.loads(pickle.dumps(f))(Path("x/pug_1.jpg")) == "pug"
    with pytest.raises(ValueError, match=r"attribute `name`.*'pug_1.jpg' \(str\).*Path\(item\)"):
        f("pug_1.jpg")
    with pytest.raises(ValueError, match=r"Did you mean .*`name`"):
        using_attr(str, "nam")(Path("a"))


FRAME = pd.DataFrame({"name": ["a", "b"], "label": ["x y", None], "score": [1.5, 2.0]})


def rows(frame: pd.DataFrame) -> list:
    """Both forms in which the rows of a frame come."""
    return [
        [frame.iloc[i] for i in range(len(frame))],
        list(frame.itertuples()),
        list(frame.itertuples(index=False)),
        frame.to_dict("records"),
    ]


@pytest.mark.parametrize("kind", range(4))
def test_col_reader(kind: int) -> None:
    row, second = rows(FRAME)[kind]
    assert ColReader("name")(row) == ColReader(0)(row) == "a"
    assert ColReader("score")(row) == ColReader(2)(row) == ColReader(-1)(row) == 1.5
    assert ColReader("name", pref="pics/", suff=".jpg")(row) == "pics/a.jpg"
    assert ColReader(0, pref=PlainPath("pics"), suff=".jpg")(row) == str(PlainPath("pics/a.jpg"))
    both = ColReader(["name", "score"])(row)
    assert isinstance(both, L) and both == ["a", 1.5]
    split = ColReader("label", label_delim=" ")
    assert split(row) == ["x", "y"] and split(second) == []
    with pytest.raises(ValueError, match=r"no column `lable`. Did you mean `label`\?.*name, label"):
        ColReader("lable")(row)
    with pytest.raises(ValueError, match=r"no column 5: the row has 3"):
        ColReader(5)(row)


def test_col_reader_of_rows_without_names() -> None:
    assert ColReader(1)(("a", "b")) == "b"
    with pytest.raises(ValueError, match=r"Column `name`.*no named columns"):
        ColReader("name")(("a", "b"))
    assert ColReader(0, label_delim=";")([["x", "y"]]) == ["x", "y"]
    assert ColReader(0, label_delim=",")(["cat, dog,"]) == ["cat", "dog"]


def test_col_reader_of_a_frame_with_numbered_columns() -> None:
    frame = pd.DataFrame([["a", "b"]], columns=[1, 0])
    assert ColReader(0)(frame.iloc[0]) == "b"  # the name wins


def test_labellers_can_be_copied() -> None:
    for f in (RegexLabeller(BREED), ColReader("a", label_delim=" ")):
        assert repr(copy.deepcopy(f)) == repr(pickle.loads(pickle.dumps(f))) == repr(f)
