"""Names for tables and errors."""

from functools import partial

import pytest

from presize.train.names import name_of, snake_case


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("MulticlassAccuracy", "multiclass_accuracy"),
        ("F1Score", "f1_score"),
        ("APScoreMulti", "ap_score_multi"),
        ("BinaryAUROC", "binary_auroc"),
        ("mse", "mse"),
    ],
)
def test_snake_case(name: str, snake: str) -> None:
    assert snake_case(name) == snake


def test_name_of() -> None:
    assert name_of(len) == "len"
    assert name_of(partial(partial(int, base=2))) == "int"
    assert name_of(object()) == "object"
