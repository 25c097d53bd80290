"""Batches, by a model whose every forward the test holds up or lets go."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from presize.deploy.serve.batching import Batcher
from presize.deploy.serve.errors import Refused
from presize.deploy.serve.metrics import Metrics
from presize.deploy.serve.settings import ServeSettings

WAIT = 30


@pytest.fixture
def run(held):
    """Run a coroutine with a batcher of the held model."""

    def called(work: Callable[[Batcher], Coroutine[Any, Any, None]], **settings: Any) -> Batcher:
        batcher = Batcher(held, ServeSettings(**settings), Metrics())

        async def within() -> None:
            try:
                await asyncio.wait_for(work(batcher), WAIT)
            finally:
                held.go.set()

        try:
            asyncio.run(within())
        finally:
            batcher.close()
        return batcher

    return called


async def begun(held, n: int = 1) -> None:
    """Wait until the model was asked `n` times more."""
    for _ in range(n):
        assert await asyncio.to_thread(held.began.acquire, timeout=WAIT)


async def ready(batcher: Batcher, n: int) -> None:
    """Wait until so many pictures are decoded and wait for the model."""
    while len(batcher._ready) < n:
        await asyncio.sleep(0.001)


def asked(batcher: Batcher, *pictures: bytes) -> list["asyncio.Task[Any]"]:
    return [asyncio.ensure_future(batcher.predict(p)) for p in pictures]


def test_everyone_gets_the_own_answer(run, held):
    async def work(batcher):
        names = [f"{i}".encode() for i in range(50)]
        answers = await asyncio.gather(*asked(batcher, *names))
        assert [a.label for a in answers] == [n.decode() for n in names]

    run(work, batch=8)
    assert sum(map(len, held.batches)) == 50
    assert max(map(len, held.batches)) <= 8
    assert held.most_at_once == 1


def test_one_that_comes_alone_does_not_wait_for_others(run, held):
    async def work(batcher):
        waited = []
        gather = batcher._gather

        async def watched():
            loop = asyncio.get_running_loop()
            before = loop.time()
            await gather()
            waited.append(loop.time() - before)

        batcher._gather = watched
        assert (await batcher.predict(b"a")).label == "a"
        assert waited[0] < 1  # the wait that is allowed is a second

    run(work, wait=1)
    assert held.batches == [[b"a"]]


def test_what_comes_while_the_model_works_is_asked_about_together(run, held):
    async def work(batcher):
        held.go.clear()
        first = asked(batcher, b"first")
        await begun(held)
        others = asked(batcher, *(f"{i}".encode() for i in range(5)))
        await ready(batcher, 5)
        held.go.set()
        await asyncio.gather(*first, *others)

    run(work, batch=4)
    assert [len(batch) for batch in held.batches] == [1, 4, 1]


def test_it_waits_a_little_for_what_is_being_decoded(run, held):
    late = threading.Event()

    def decode(data):
        if data == b"late":
            assert late.wait(WAIT)

    held.decode = decode

    async def work(batcher):
        tasks = asked(batcher, b"late", b"early")
        await ready(batcher, 1)
        late.set()
        await asyncio.gather(*tasks)

    run(work, wait=1, workers=2)
    assert [sorted(batch) for batch in held.batches] == [[b"early", b"late"]]


def test_but_not_for_ever(run, held):
    late = threading.Event()
    held.decode = lambda data: None if data == b"early" else late.wait(WAIT)

    async def work(batcher):
        tasks = asked(batcher, b"late", b"early")
        assert (await tasks[1]).label == "early"
        late.set()
        await tasks[0]

    run(work, wait=0.01, workers=2)
    assert held.batches == [[b"early"], [b"late"]]


def test_a_picture_that_fails_in_the_model_fails_alone(run, held):
    async def work(batcher):
        held.go.clear()
        first = asked(batcher, b"first")
        await begun(held)
        tasks = asked(batcher, b"a", b"b", b"bad", b"c")
        await ready(batcher, 4)
        held.go.set()
        answers = await asyncio.gather(*first, *tasks, return_exceptions=True)
        assert isinstance(answers.pop(3), RuntimeError)
        assert [a.label for a in answers] == ["first", "a", "b", "c"]

    run(work)


def test_who_went_away_is_not_asked_about(run, held):
    async def work(batcher):
        held.go.clear()
        first = asked(batcher, b"first")
        await begun(held)
        stays, goes = asked(batcher, b"stays", b"goes")
        await ready(batcher, 2)
        goes.cancel()
        await asyncio.sleep(0)
        held.go.set()
        await asyncio.gather(*first, stays)

    run(work)
    assert held.batches == [[b"first"], [b"stays"]]


def test_what_nobody_waits_for_is_not_even_decoded(run, held):
    seen, free = [], threading.Event()

    def decode(data):
        seen.append(data)
        assert free.wait(WAIT)

    held.decode = decode

    async def work(batcher):
        stays, goes = asked(batcher, b"stays", b"goes")
        while not seen:
            await asyncio.sleep(0.001)
        goes.cancel()
        await asyncio.sleep(0)
        free.set()
        await stays

    run(work, workers=1)
    assert seen == [b"stays"]


def test_an_error_of_decoding_comes_to_who_asked(run, held):
    def decode(data):
        raise ValueError(data.decode())

    held.decode = decode

    async def work(batcher):
        one, other = await asyncio.gather(*asked(batcher, b"x", b"y"), return_exceptions=True)
        assert (str(one), str(other)) == ("x", "y")

    run(work)
    assert held.batches == []


def test_more_than_the_queue_holds_is_refused(run):
    async def work(batcher):
        batcher.take(3)
        with pytest.raises(Refused, match="works on 3 pictures, and takes 4 at once") as refused:
            batcher.take(2)
        assert refused.value.status == 429
        assert refused.value.headers == {"Retry-After": "1"}
        batcher.take(1)
        batcher.give(4)
        batcher.take(4)

    assert run(work, queue=4, max_files=4).pending == 4


def test_one_event_loop_after_the_other_is_served(run, held):
    batcher = Batcher(held, ServeSettings(), Metrics())
    for name in (b"a", b"b"):
        assert asyncio.run(batcher.predict(name)).label == name.decode()
    batcher.close()
