from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from presize.core.plain import made_of


@dataclass
class Inner:
    name: str
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    inner: Inner
    kind: Literal["a", "b"] | None
    n: int
    others: list[Inner] = field(default_factory=list)
    table: dict[str, list[float | None]] = field(default_factory=dict)
    cells: list[list[Any]] = field(default_factory=list)
    yes: bool = False


PLAIN = {
    "inner": {"name": "x", "share": 1},
    "kind": "b",
    "n": 3,
    "others": [{"name": "y"}],
    "table": {"lr": [1, None, 0.5]},
    "cells": [[1, "00:01", None]],
    "yes": True,
}


def test_values_become_what_the_fields_are():
    found = made_of(Outer, PLAIN | {"newer": 1})
    assert found == Outer(
        Inner("x", 1.0), "b", 3, [Inner("y")], {"lr": [1.0, None, 0.5]}, [[1, "00:01", None]], True
    )
    assert isinstance(found.inner.share, float)
    assert made_of(Outer, {"inner": {"name": ""}, "kind": None, "n": 0}).kind is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"n": 3.0}, "`n` wants int, but got 3.0"),
        ({"n": True}, "`n` wants int, but got True"),
        ({"n": None}, "`n` wants int, but got None"),
        ({"yes": 1}, "`yes` wants bool, but got 1"),
        ({"kind": "c"}, "`kind` wants Literal"),
        ({"kind": ["a"]}, "`kind` wants Literal"),
        ({"inner": "x"}, "Inner wants values by name, but got 'x'"),
        ({"inner": {"share": 1}}, "Inner wants `name`: missing"),
        ({"inner": {"name": "x", "share": False}}, "`share` wants float, but got False"),
        ({"others": {"name": "y"}}, "`others` wants list"),
        ({"table": {"lr": 1}}, "`table` wants list"),
        ({"table": {"lr": ["1"]}}, "`table` wants float, but got '1'"),
        ({"cells": "x" * 99}, "…"),
    ],
)
def test_values_of_another_type_are_refused(change, told):
    with pytest.raises(TypeError, match=told):
        made_of(Outer, PLAIN | change)


def test_a_number_too_large_for_a_float_is_refused():
    with pytest.raises(ValueError, match="`share` is a number too large"):
        made_of(Inner, {"name": "x", "share": 10**400})
