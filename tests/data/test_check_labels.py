"""Labels that look the same."""

import unicodedata

from presize.data.check.labels import namesakes

CAFE = "café"


def told(*labels: object) -> list[tuple[list[object], list[str]]]:
    return [(list(o.labels), list(o.differ_in)) for o in namesakes(labels)]  # type: ignore[arg-type]


def test_labels_that_differ_are_left_alone() -> None:
    assert told("cat", "dog", "cats", "c at", 1, 2, "café", "cafe") == []


def test_it_is_said_in_what_they_differ() -> None:
    assert told("cat", "dog", "Cat") == [(["Cat", "cat"], ["capital letters"])]
    assert told("cat", "cat ") == [(["cat", "cat "], ["white space"])]
    assert told("maine coon", "maine  coon") == [(["maine  coon", "maine coon"], ["white space"])]
    assert told("Cat", "cat ") == [(["Cat", "cat "], ["capital letters", "white space"])]
    forms = [unicodedata.normalize(form, CAFE) for form in ("NFC", "NFD")]
    [(labels, differ_in)] = told(*forms)
    assert sorted(map(str, labels)) == sorted(forms)
    assert differ_in == ["how accents are stored (Unicode form)"]
    assert told("cat", "cat\u200b")[0][1] == ["white space"]  # a sign that is not seen
    assert told(1, "1") == [(["1", 1], ["their type (text and number)"])]


def test_several_that_look_the_same_are_one_group() -> None:
    [(labels, differ_in)] = told("CAT", "cat", "Cat ", "dog")
    assert labels == ["CAT", "Cat ", "cat"]
    assert differ_in == ["capital letters", "white space"]
