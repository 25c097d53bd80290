import threading
import time

import pytest

from presize.data.workers import Job, available_cpus, run_in_order


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
