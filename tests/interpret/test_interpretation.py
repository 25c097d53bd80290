import types

import pytest
import torch

from presize.interpret.interpretation import Interpretation


def told(task, vocab, decoded, targs):
    dls = types.SimpleNamespace(task=task, vocab=vocab)
    files = types.SimpleNamespace(items=[types.SimpleNamespace(name="7.jpg")])
    dl = types.SimpleNamespace(vocab=vocab, dataset=files)
    learn = types.SimpleNamespace(dls=dls)
    interp = Interpretation(learn, dl, decoded, targs, decoded, torch.tensor([0.5]))
    return interp.heading, interp._caption(0, 0.5)


@pytest.mark.parametrize(
    ("task", "vocab", "decoded", "targs", "caption"),
    [
        ("classification", ["cat", "dog"], [1], [0], "dog / cat\n0.50\n7.jpg"),
        ("multilabel", ["a", "b", "c"], [[1, 0, 1]], [[0, 1, 0]], "a;c / b\n0.50\n7.jpg"),
        ("regression", None, [[1.23456]], [2.0], "1.235 / 2\n0.50\n7.jpg"),
        ("segmentation", ["a", "b"], [[[0, 1]]], [[[1, 1]]], "0.50\n7.jpg"),
        ("points", None, [[0.1, 0.2]], [[[0.1, 0.2]]], "0.50\n7.jpg"),
    ],
)
def test_captions_are_in_the_words_of_the_task(task, vocab, decoded, targs, caption):
    heading, found = told(task, vocab, torch.tensor(decoded), torch.tensor(targs))
    assert found == caption
    assert heading == ("Loss" if "/" not in caption else "Prediction / Actual / Loss")
