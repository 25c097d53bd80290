import inspect

import pytest

from presize.callbacks.base import EVENTS, Callback, Callbacks, CancelFit


class FakeLearner:
    def __init__(self, training=True):
        self.training = training


def test_the_composite_forwards_every_event():
    assert set(EVENTS) <= set(vars(Callbacks))
    for event in EVENTS:
        seen = []
        kind = type("One", (Callback,), {event: lambda self, learn, seen=seen: seen.append(learn)})
        learn = FakeLearner()
        getattr(Callbacks([kind()]), event)(learn)
        assert seen == [learn], event


def test_every_event_is_documented():
    for event in EVENTS:
        assert inspect.getdoc(getattr(Callback, event)), event


def test_callbacks_run_by_order_and_keep_it_among_equals():
    seen = []

    class Named(Callback):
        def __init__(self, name, order=0.0):
            self.tag, self.order = name, order

        def before_fit(self, learn):
            seen.append(self.tag)

    Callbacks([Named("c", 2), Named("a"), Named("b"), Named("first", -1)]).before_fit(None)
    assert seen == ["first", "a", "b", "c"]


@pytest.mark.parametrize("training", [True, False])
def test_run_train_and_run_valid_limit_the_events_of_batches(training):
    seen = []

    class Train(Callback):
        run_valid = False

        def after_batch(self, learn):
            seen.append("train")

    class Valid(Callback):
        run_train = False

        def after_batch(self, learn):
            seen.append("valid")

    Callbacks([Train(), Valid()]).after_batch(FakeLearner(training))
    assert seen == ["train" if training else "valid"]


def test_a_misspelt_event_is_refused_with_the_near_miss():
    with pytest.raises(TypeError, match="`Typo.after_bacth` is not a training event") as error:
        type("Typo", (Callback,), {"after_bacth": lambda self, learn: None})
    assert "Did you mean `after_batch`?" in str(error.value)


def test_the_old_signature_is_refused_with_the_new_one():
    with pytest.raises(TypeError, match=r"Write `def after_batch\(self, learn\):`"):

        class Old(Callback):
            def after_batch(self):
                pass


def test_names_are_snake_case():
    class SaveBestCallback(Callback):
        pass

    assert SaveBestCallback().name == "save_best"
    assert repr(Callbacks([SaveBestCallback()])) == "(#1) [SaveBestCallback]"


def test_what_is_no_callback_is_told_where_it_belongs():
    def accuracy(inp, targ):
        return 1.0

    with pytest.raises(TypeError, match=r"takes callbacks.* but got <function.* goes to metrics="):
        Callbacks([accuracy])


def test_all_clean_up_after_a_fit_and_the_first_error_is_raised():
    seen = []

    class Fails(Callback):
        def __init__(self, error):
            self.error = error

        def after_fit(self, learn):
            seen.append(self.error)
            if self.error is not None:
                raise self.error

    full, lost = OSError("disk full"), KeyError("lost")
    with pytest.raises(OSError, match="disk full") as caught:
        Callbacks([Fails(full), Fails(lost), Fails(None)]).after_fit(None)
    assert seen == [full, lost, None]
    assert caught.value is full
    assert full.__notes__ == ["Then Fails.after_fit failed: KeyError('lost')"]


class Ends(Callback):
    def after_epoch(self, learn):
        raise CancelFit


def test_all_see_an_epoch_that_one_of_them_ends_the_fit_with():
    seen = []

    class Looks(Callback):
        def after_epoch(self, learn):
            seen.append(cbs.ending)

    cbs = Callbacks([Looks(), Ends(), Looks()])
    for _ in range(2):
        with pytest.raises(CancelFit):
            cbs.after_epoch(None)
    assert seen == [False, True] * 2
    assert not cbs.ending


def test_an_epoch_inside_of_another_one_leaves_the_end_of_that_as_it_is():
    seen = []

    class Nests(Callback):
        def after_epoch(self, learn):
            seen.append(outer.ending)
            outer.replace([])
            outer.after_epoch(None)
            seen.append(outer.ending)

    outer = Callbacks([Ends(), Nests()])
    with pytest.raises(CancelFit):
        outer.after_epoch(None)
    assert seen == [True, True]


def test_an_error_in_an_epoch_that_ends_the_fit_is_not_lost():
    class Fails(Callback):
        def after_epoch(self, learn):
            raise KeyError("lost")

    cbs = Callbacks([Ends(), Fails()])
    with pytest.raises(KeyError, match="lost"):
        cbs.after_epoch(None)
    assert not cbs.ending
