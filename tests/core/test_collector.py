import gc

import pytest

from presize.core.collector import collector_resting


def test_the_collector_rests_and_goes_on() -> None:
    assert gc.isenabled()
    with collector_resting():
        assert not gc.isenabled()
        with collector_resting():
            assert not gc.isenabled()
        assert not gc.isenabled()  # the outer one still has work to do
    assert gc.isenabled()


def test_an_error_inside_wakes_it() -> None:
    with pytest.raises(KeyError), collector_resting():
        raise KeyError
    assert gc.isenabled()


def test_who_switched_it_off_keeps_it_off() -> None:
    gc.disable()
    try:
        with collector_resting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
