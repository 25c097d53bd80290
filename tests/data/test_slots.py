import copy
import gc
import sys

import torch

from presize.data.slots import SlotPool


def test_memory_is_used_again_only_when_nobody_holds_it() -> None:
    pool = SlotPool()
    first = pool.take((4, 3, 5), torch.float32)
    first.fill_(7)
    view, place = first[1:, 0], first.data_ptr()
    del first
    gc.collect()
    second = pool.take((4, 3, 5), torch.float32)
    assert second.data_ptr() != place
    second.zero_()
    assert (view == 7).all()  # a view keeps what it looks at
    del view
    gc.collect()
    assert pool.take((4, 3, 5), torch.float32).data_ptr() == place


def test_shapes_and_kinds() -> None:
    pool = SlotPool()
    for shape, kind in (((2, 1, 3, 3), torch.uint8), ((0, 3, 2, 2), torch.float32)):
        taken = pool.take(shape, kind)
        assert (taken.shape, taken.dtype) == (shape, kind)
        assert taken.is_contiguous()


def test_only_a_few_are_kept() -> None:
    pool = SlotPool()
    taken = [pool.take((1000,), torch.uint8) for _ in range(20)]
    places = {t.data_ptr() for t in taken}
    taken.clear()
    gc.collect()
    again = [pool.take((1000,), torch.uint8) for _ in range(4)]
    assert {t.data_ptr() for t in again} <= places
    assert sum(map(len, pool._free.values())) == 0


def test_no_python_runs_when_memory_comes_back_as_an_interrupt_in_it_would_be_lost() -> None:
    pool = SlotPool()
    taken = pool.take((1000,), torch.uint8)
    place, called = taken.data_ptr(), []
    gc.disable()
    sys.setprofile(lambda frame, event, _: called.append((event, frame.f_code.co_name)))
    try:
        del taken
    finally:
        sys.setprofile(None)
        gc.enable()
    assert [name for event, name in called if event == "call"] == []
    assert pool.take((1000,), torch.uint8).data_ptr() == place


def test_memory_that_is_lent_is_let_go_with_its_pool() -> None:
    pool = SlotPool()
    taken = [pool.take((1000,), torch.uint8) for _ in range(6)]
    assert len(pool._lent) == 6
    taken.clear()
    taken.append(pool.take((1000,), torch.uint8))
    assert len(pool._lent) == 1


def test_a_copy_of_a_loader_has_memory_of_its_own() -> None:
    pool = SlotPool()
    kept = pool.take((2, 3), torch.float32)
    other = copy.deepcopy(pool)
    assert other.take((2, 3), torch.float32).data_ptr() != kept.data_ptr()
