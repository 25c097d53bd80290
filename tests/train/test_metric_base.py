"""What all metrics have: names, and clear words for what a metric of one's own lacks."""

from functools import partial

import numpy as np
import pytest
import torch

from presize.train.metric_base import GivenBatch, class_scores
from presize.train.metrics import AccumMetric, AvgLoss, AvgMetric, F1Score, Metric, accuracy


def test_names() -> None:
    class MyOwnScore(Metric):
        pass

    assert AvgMetric(accuracy).name == "accuracy"
    assert AvgMetric(partial(partial(accuracy, axis=1))).name == "accuracy"
    assert AvgMetric(lambda p, t: p).name == "metric"
    assert AvgMetric(accuracy, name="acc").name == "acc"
    assert AccumMetric(np.mean).name == "mean"
    metric = MyOwnScore()
    assert metric.name == "my_own_score"
    metric.name = "mine"
    assert (metric.name, repr(metric)) == ("mine", "MyOwnScore(mine)")


def test_a_metric_that_lacks_a_method() -> None:
    class Half(Metric):
        pass

    with pytest.raises(NotImplementedError, match=r"Half needs a method reset\(self\)"):
        Half().reset()
    with pytest.raises(NotImplementedError, match=r"accumulate\(self, learn\)"):
        Half().accumulate(GivenBatch(None, ()))
    with pytest.raises(NotImplementedError, match="property value"):
        _ = Half().value


class OwnCount(AvgLoss):
    """Keeps more than its parent."""

    def reset(self) -> None:
        super().reset()
        self.steps = 0


class OwnState(OwnCount):
    """And says what."""

    def state_dict(self) -> dict[str, object]:
        return {**AvgLoss.state_dict(self), "steps": self.steps}


def test_who_can_be_in_a_checkpoint() -> None:
    class Half(Metric):
        pass

    assert [m.resumable for m in (AvgLoss(), AvgMetric(accuracy), F1Score())] == [True] * 3
    assert [m.resumable for m in (Half(), OwnCount(), OwnState())] == [False, False, True]
    for metric in (Half(), OwnCount()):
        with pytest.raises(NotImplementedError, match=r"has no state_dict\(self\) that goes with"):
            metric.state_dict()
        with pytest.raises(NotImplementedError, match=r"load_state_dict\(self, state\)"):
            metric.load_state_dict({})


def test_a_single_score_for_yes_becomes_one_for_each_class() -> None:
    yes, targets = torch.randn(9, 1), torch.randint(2, (9,))
    both = class_scores(yes, targets, -1, "who")
    torch.testing.assert_close(both.softmax(1)[:, 1:], yes.sigmoid())
    assert torch.equal(both.argmax(1, keepdim=True), (yes > 0).long())
    masks = class_scores(torch.randn(2, 1, 3, 3), torch.zeros(2, 3, 3).bool(), 1, "who")
    assert masks.shape == (2, 2, 3, 3)
    assert class_scores(both, targets, -1, "who") is both


@pytest.mark.parametrize("shape", [(9,), (9, 0)])
def test_outputs_without_classes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="`who` needs a score for each of at least two classes"):
        class_scores(torch.randn(shape), torch.zeros(9).long(), -1, "who")


def test_a_single_output_may_be_a_quantity() -> None:
    text = r"outputs of shape \[9, 1\] and targets of float32\. Keep .* accuracy_multi .* mae or R2"
    with pytest.raises(ValueError, match=text):
        class_scores(torch.randn(9, 1), torch.zeros(9), -1, "who")
