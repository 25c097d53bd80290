"""What all metrics have: names, and clear words for what a metric of one's own lacks."""

from functools import partial

import numpy as np
import pytest

from presize.train.metric_base import GivenBatch
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
