"""Losses of steps, against a running mean written by hand."""

import pytest
import torch

from presize.train.loss_history import LossHistory


def debiased(losses, beta=0.98):
    running, means = 0.0, []
    for step, loss in enumerate(losses, 1):
        running = beta * running + (1 - beta) * loss
        means.append(running / (1 - beta**step))
    return means


@pytest.mark.parametrize("steps", [1, 7, 512, 1030])
def test_the_running_mean_whenever_it_is_read(steps):
    losses = torch.rand(steps).tolist()
    read_late, read_often = LossHistory(), LossHistory()
    for loss in losses:
        read_late.add(torch.tensor(loss))
        read_often.add(torch.tensor(loss))
        assert read_often.value is not None
    assert len(read_late) == len(read_often) == steps
    assert read_late.raw == pytest.approx(losses)
    assert read_late.smooth == read_often.smooth == pytest.approx(debiased(losses))
    assert read_late.value == read_late.smooth[-1]


def test_nothing_came_yet():
    history = LossHistory()
    assert history.value is None
    assert history.smooth == history.raw == []
    assert len(history) == 0


def test_adding_keeps_no_graph_and_takes_losses_of_items():
    history = LossHistory()
    weight = torch.tensor(2.0, requires_grad=True)
    history.add(weight * 3)
    history.add(torch.tensor([1.0, 3.0], dtype=torch.bfloat16))
    assert history.raw == [6.0, 2.0]


def test_state_goes_on_to_the_same_bits():
    one, other = LossHistory(), LossHistory()
    losses = torch.rand(20)
    for loss in losses[:13]:
        one.add(loss)
    other.load_state_dict(one.state_dict())
    for loss in losses[13:]:
        one.add(loss)
        other.add(loss)
    assert one.smooth == other.smooth
    assert one.raw == other.raw


def test_losses_of_several_processes_are_averaged_once():
    history = LossHistory()
    calls = []

    def mean(losses):
        calls.append(len(losses))
        return losses + 1.0  # as if the others had other losses

    for loss in (1.0, 2.0):
        history.add(torch.tensor(loss))
    assert history.value is not None  # a look at the own ones, as a progress bar takes it
    history.gather(mean)
    history.add(torch.tensor(3.0))
    assert history.raw == [2.0, 3.0, 3.0]
    state = history.state_dict()
    history.gather(mean)
    assert history.raw == [2.0, 3.0, 4.0]
    assert history.smooth == pytest.approx(debiased([2.0, 3.0, 4.0]))
    assert calls == [2, 1]
    resumed = LossHistory()
    resumed.load_state_dict(state)
    resumed.gather(mean)
    assert resumed.raw == [2.0, 3.0, 4.0]


@pytest.mark.parametrize("steps", [0, 1, 7, 1300])
@pytest.mark.parametrize("looks", [set(), {3}, {0, 3, 4, 600}])
def test_processes_meet_once_whenever_each_has_looked(steps, looks):
    history, calls = LossHistory(), []
    for step in range(steps):
        history.add(torch.tensor(float(step)))
        if step in looks:
            assert history.value is not None
    history.gather(lambda losses: calls.append(losses.tolist()) or losses)
    assert calls == ([list(map(float, range(steps)))] if steps else [])


@pytest.mark.parametrize("wrong", [1.0, -0.1])
def test_a_weight_of_the_past_that_is_none(wrong):
    with pytest.raises(ValueError, match="beta is the part of the old that is kept"):
        LossHistory(wrong)
