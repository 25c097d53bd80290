import threading
import time

import pytest
import torch

from presize.data.workers import Crew, Job, available_cpus, given_up, run_in_order


def jobs(n, parts=3, work=lambda i, k: (i, k)):
    for i in range(n):
        yield Job([lambda i=i, k=k: work(i, k) for k in range(parts)], tuple)


def threads():
    return [t.name for t in threading.enumerate() if t.name.startswith("presize-loader")]


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_results_come_in_order_whoever_is_faster(count):
    def slow(i, k):
        time.sleep(0.002 * ((i * 7 + k * 3) % 4))
        return i, k

    made = list(run_in_order(jobs(6, work=slow), threads=count, ahead=3))
    assert made == [tuple((i, k) for k in range(3)) for i in range(6)]
    assert threads() == []


def test_no_more_jobs_are_started_than_asked_for():
    started = []

    def note(i, k):
        started.append(i)

    running = run_in_order(jobs(50, 1, note), threads=2, ahead=2)
    next(running)
    time.sleep(0.05)
    assert max(started) <= 2
    running.close()


def test_dropping_the_iterator_leaves_no_threads():
    running = run_in_order(jobs(50), threads=3, ahead=4)
    next(running)
    assert threads()
    del running
    assert threads() == []


def test_an_interrupt_while_waiting_leaves_no_threads():
    def stop(i, k):
        if i == 2:
            raise KeyboardInterrupt
        return i

    with pytest.raises(KeyboardInterrupt):
        list(run_in_order(jobs(9, work=stop), threads=2, ahead=2))
    assert threads() == []


@pytest.mark.parametrize("count", [0, 2])
def test_an_error_comes_when_its_result_is_due(count):
    def fail(i, k):
        if i == 2 and k == 1:
            raise ZeroDivisionError("of part 1")
        return i

    got = []
    with pytest.raises(ZeroDivisionError, match="of part 1"):
        for result in run_in_order(jobs(9, work=fail), threads=count, ahead=4):
            got.append(result)
    assert got == [(0, 0, 0), (1, 1, 1)]
    assert threads() == []


def test_waiting_too_long_says_what_may_be_slow():
    release = threading.Event()
    slow = jobs(1, 1, lambda i, k: release.wait(5))
    running = run_in_order(slow, threads=1, ahead=1, timeout=0.02)
    threading.Timer(0.1, release.set).start()
    with pytest.raises(TimeoutError, match="No batch was ready after 0.02 s. Is the disk"):
        next(running)


def test_a_timeout_of_the_work_itself_is_passed_on():
    def fail(i, k):
        raise TimeoutError("of the server")

    with pytest.raises(TimeoutError, match="of the server"):
        list(run_in_order(jobs(1, 1, fail), threads=1, ahead=1, timeout=5))


def test_there_is_a_core():
    assert available_cpus() >= 1


# ---- threads -------------------------------------------------------------------------------------


def test_threads_share_the_cores_between_them_and_leave_the_program_its_own(monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(6)
    try:
        counts = list(
            run_in_order(jobs(4, 2, lambda i, k: torch.get_num_threads()), threads=2, ahead=2)
        )
        assert {n for pair in counts for n in pair} == {3}
        many = list(
            run_in_order(jobs(4, 2, lambda i, k: torch.get_num_threads()), threads=9, ahead=9)
        )
        assert {n for pair in many for n in pair} == {1}
        assert torch.get_num_threads() == 6
        of_others = []
        other = threading.Thread(target=lambda: of_others.append(torch.get_num_threads()))
        other.start()
        other.join()
        assert of_others == [6]
    finally:
        torch.set_num_threads(before)


def test_a_long_part_can_ask_whether_it_is_still_wanted():
    begun, stopped = threading.Event(), threading.Event()

    def until_given_up(i, k):
        begun.set()
        while not given_up():
            time.sleep(0.001)
        stopped.set()

    running = run_in_order(jobs(3, 1, until_given_up), threads=1, ahead=1, timeout=0.01)
    with pytest.raises(TimeoutError):
        next(running)
    assert begun.is_set() and stopped.wait(5)
    assert not given_up()  # this is no worker thread
    assert threads() == []


def test_threads_that_are_in_the_middle_are_not_waited_for_long():
    release = threading.Event()
    running = run_in_order(
        jobs(3, 1, lambda i, k: release.wait(20)), threads=2, ahead=2, timeout=0.01
    )
    start = time.perf_counter()
    with pytest.raises(TimeoutError):
        next(running)
    assert time.perf_counter() - start < 3
    assert len(threads()) == 2
    release.set()
    while threads() and time.perf_counter() - start < 10:
        time.sleep(0.01)
    assert threads() == []


def test_a_crew_may_be_stopped_by_one_of_its_own():
    # As where the garbage collector runs in a worker thread and finds the iterator.
    crew, done = Crew(2), threading.Event()
    crew.give(lambda: (crew.stop(), done.set()))
    assert done.wait(5)
