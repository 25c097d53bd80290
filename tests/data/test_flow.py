import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from presize.data.flow import Flow
from presize.data.loader import DataLoader


def slow(batches, seconds):
    for batch in batches:
        time.sleep(seconds)
        yield batch


def test_waiting_is_the_time_in_next_and_not_that_of_the_use():
    flow = Flow()
    for _ in flow.watch(slow([torch.zeros(4, 2)] * 5, 0.02)):
        time.sleep(0.03)
    assert flow.batches == 5 and flow.samples == 20
    assert 0.1 <= flow.waited < 0.2
    assert 0.24 <= flow.seconds < 0.4
    assert 0.02 <= flow.first < 0.06


@pytest.mark.parametrize(
    ("batch", "n", "size"),
    [
        (torch.zeros(4, 3, 6, 5), 4, (6, 5)),
        ((torch.zeros(4, 3, 6, 5), torch.zeros(4)), 4, (6, 5)),
        (({"a": torch.zeros(3, 2)}, torch.zeros(3)), 3, None),
        (["a", "b"], 2, None),
        (torch.tensor(1.0), 1, None),
        ("text", 1, None),
        (None, 1, None),
    ],
)
def test_samples_are_counted_in_batches_of_any_kind(batch, n, size):
    flow = Flow()
    list(flow.watch(slow([batch], 0)))
    assert (flow.samples, flow.size) == (n, size)


def test_single_samples_count_as_one():
    dl = DataLoader([torch.zeros(3, 4)] * 5)
    list(dl)
    assert (dl.flow.batches, dl.flow.samples) == (5, 5)


def test_each_pass_has_its_own_and_looks_have_none():
    dl = DataLoader(range(10), 5, after_item=lambda i: time.sleep(0.002) or i)
    assert dl.flow.batches == 0
    first = iter(dl)
    of_first = dl.flow
    next(first)
    dl.one_batch(), dl.batch_of([1])
    assert dl.flow is of_first and of_first.batches == 1
    list(dl)
    assert dl.flow is not of_first
    assert dl.flow.batches == 2 and dl.flow.waited > 0.01
    list(first)
    assert of_first.batches == 2


def test_a_dropped_pass_closes_what_it_came_from():
    closed = []

    def batches():
        try:
            yield from range(5)
        finally:
            closed.append(True)

    watched = Flow().watch(batches())
    next(watched)
    watched.close()
    assert closed == [True]


def test_measuring_costs_little():
    flow, n = Flow(), 20_000
    start = time.perf_counter()
    for _ in flow.watch(one for one in [torch.zeros(1)] * n):
        pass
    assert (time.perf_counter() - start) / n < 20e-6  # 1.5 us on a core of 2020


class FakeEvent:
    """A place in the work of a GPU, which runs behind the program."""

    reached = -1.0

    def __init__(self, at):
        self.at = at

    def query(self):
        return self.at <= FakeEvent.reached

    def synchronize(self):
        FakeEvent.reached = self.at

    def elapsed_time(self, other):
        return (other.at - self.at) * 1000


def test_on_a_gpu_waiting_is_the_time_that_its_stream_was_idle():
    # Each step takes the GPU 10 s; batches are there 2, 12, 12 s after the program asked.
    stream = SimpleNamespace(ready=None, mark=lambda: FakeEvent(clock[0]))
    clock = [0.0]

    def batches():
        for wait in (2, 12, 12):
            clock[0] += max(0, wait - 10)  # the rest is hidden behind the step before
            stream.ready = FakeEvent(clock[0])
            yield "batch"

    flow = Flow(stream)
    for _ in flow.watch(batches()):
        clock[0] += 10
    assert flow.first < 1  # the program's own clock: the GPU had nothing to do before
    assert flow.waited == pytest.approx(4, abs=0.5)


def test_a_look_at_a_gpu_under_way_waits_for_nothing():
    class Event:
        def __init__(self, passed):
            self.query = lambda: passed
            self.elapsed_time = lambda other: 3000.0

        def synchronize(self):
            raise AssertionError("the program waited")

    flow = Flow()
    flow._spans.extend([(Event(True), Event(True)), (Event(True), Event(False))])
    assert flow.waited_so_far == 3.0
    assert len(flow._spans) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_real_gpu_only_idle_time_counts():
    model = nn.Sequential(*[nn.Linear(4096, 4096, device="cuda") for _ in range(40)])

    def waited(pause):
        dl = DataLoader(
            torch.randn(64 * 512, 4096).split(512),
            1,
            device="cuda",
            after_item=lambda x: time.sleep(pause) or x,
        )
        for x in dl:
            for _ in range(10):
                model(x)
        torch.cuda.synchronize()
        return (dl.flow.waited - dl.flow.first) / dl.flow.seconds

    waited(0)
    assert waited(0) < 0.1
    assert waited(0.2) > 0.5
