import itertools
import queue
import string
import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from presize.core.collections import L
from presize.core.errors import DataError, ImageError
from presize.core.foundation import Inf, first
from presize.core.randomness import Samples, draws
from presize.core.transform import RandTransform, Transform
from presize.data.loader import DataLoader
from presize.data.loaders import TfmdDL
from presize.tensors import TensorBase

LETTERS = list(string.ascii_lowercase)


def lists(dl):
    return [b.tolist() if isinstance(b, Tensor) else b for b in dl]


def flat(batches):
    return [item for batch in batches for item in batch]


class Drawn(RandTransform):
    def encodes(self, x: int | Tensor) -> float | Tensor:
        noise = draws(self.draw_name, n=len(x) if isinstance(x, Tensor) else 1).uniform()
        return x + torch.tensor(noise) if isinstance(x, Tensor) else x + float(noise[0])


# ---- batches -----------------------------------------------------------------------------------


def test_the_chapters_ranges_and_letters():
    batches = list(DataLoader(range(15), batch_size=5, shuffle=True))
    assert [len(b) for b in batches] == [5, 5, 5]
    assert sorted(torch.cat(batches).tolist()) == list(range(15))

    ds = L(enumerate(LETTERS))
    batches = list(DataLoader(ds, batch_size=6, shuffle=True))
    assert [len(letters) for _, letters in batches] == [6, 6, 6, 6, 2]
    for numbers, letters in batches:
        assert type(letters) is tuple
        assert [LETTERS[i] for i in numbers] == list(letters)
    assert repr(batches[-1]).startswith("(tensor([")


def test_batches_of_texts_stay_lists_and_numbers_become_tensors():
    assert list(DataLoader(LETTERS[:5], 2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert lists(DataLoader([1, 2, 3], 2)) == [[1, 2], [3]]


def test_without_a_batch_size_single_items_come_with_arrays_as_tensors():
    made = list(DataLoader([np.array([1, 2]), np.array([3])]))
    assert [type(t) for t in made] == [Tensor, Tensor]
    assert made[0].tolist() == [1, 2]
    assert list(DataLoader(LETTERS)) == LETTERS
    assert len(DataLoader(LETTERS)) == 26
    assert first(DataLoader([(1, np.array([2.0]))]))[1].tolist() == [2.0]


def test_the_short_last_batch_and_drop_last_hold_over_epochs():
    whole, dropped = DataLoader(range(11), 4), DataLoader(range(11), 4, drop_last=True)
    assert (len(whole), len(dropped)) == (3, 2)
    for _ in range(2):
        assert lists(whole) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
        assert lists(dropped) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_display_types_survive_in_any_thread():
    class Kind(TensorBase):
        pass

    for num_workers in (0, 2):
        (batch,) = first(DataLoader([(Kind([1, 2]),)] * 8, 4, num_workers=num_workers))
        assert type(batch) is Kind and batch.shape == (4, 2)


def test_data_in_memory_needs_no_context_for_each_item(monkeypatch):
    # Entering one costs more than the item itself; without item transforms nothing draws from it.
    entered = []
    plain = Samples.context

    def counted(self, i=None):
        entered.append(i)
        return plain(self, i)

    monkeypatch.setattr(Samples, "context", counted)
    data = list(zip(torch.randn(500, 4), torch.ones(500, 1), strict=True))
    dl = DataLoader(data, batch_size=64, shuffle=True)
    assert sum(len(x) for x, _ in dl) == 500
    assert len(entered) <= len(dl)


def test_data_in_memory_is_named_where_it_fails_all_the_same():
    with pytest.raises(DataError, match="Item 2 could not be made into a sample: IndexError"):
        list(DataLoader([1, 2], 2, n=3, get_idxs=lambda: [0, 2]))


# ---- what is no list ---------------------------------------------------------------------------


@pytest.mark.parametrize("num_workers", [0, 2])
def test_iterables_are_read_in_order(num_workers):
    dl = DataLoader(map(str, range(10)), 4, num_workers=num_workers)
    assert list(dl) == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8", "9"]]


@pytest.mark.parametrize("num_workers", [0, 3])
def test_iterables_may_be_slow_and_unsized(num_workers):
    waiting = queue.Queue()
    for i in range(9):
        waiting.put(i)

    class Drain:
        def __iter__(self):
            while not waiting.empty():
                time.sleep(0.001)
                yield waiting.get_nowait()

    dl = DataLoader(Drain(), 2, num_workers=num_workers, after_item=lambda i: i * 10)
    assert lists(dl) == [[0, 10], [20, 30], [40, 50], [60, 70], [80]]


def test_an_infinite_stream_is_cut_at_n():
    dl = DataLoader(itertools.count(), 4, n=10)
    assert lists(dl) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(dl) == 3


def test_unknown_lengths_say_so():
    with pytest.raises(TypeError, match="the map has no length. Pass n="):
        len(DataLoader(map(str, range(3)), 2))


def test_iterable_datasets_and_dictionaries_are_not_indexed():
    class Stream(IterableDataset):
        def __iter__(self):
            yield from range(5)

    assert lists(DataLoader(Stream(), 2)) == [[0, 1], [2, 3], [4]]
    assert not DataLoader(Stream(), 2).indexed
    assert list(DataLoader({"a": 1, "b": 2}, 2)) == [["a", "b"]]


def test_indexed_false_walks_through_what_has_indices():
    class Both(list):
        def __getitem__(self, i):
            raise AssertionError("was indexed")

    dl = DataLoader(Both(range(5)), 2, indexed=False)
    assert lists(dl) == [[0, 1], [2, 3], [4]]


def test_hooks_fire_around_a_whole_pass():
    seen = []
    dl = DataLoader(
        LETTERS,
        10,
        before_iter=lambda: seen.append("before"),
        after_iter=lambda: seen.append("after"),
    )
    for _ in dl:
        seen.append("batch")
    assert seen == ["before", "batch", "batch", "batch", "after"]


def test_functions_of_each_stage_see_whole_samples_lists_and_batches():
    dl = DataLoader(
        [(1, 2), (3, 4)],
        2,
        after_item=lambda s: (s[1], s[0]),
        before_batch=lambda samples: samples[::-1],
        after_batch=lambda b: (b[0] * 10, b[1]),
    )
    assert [p.tolist() for p in first(dl)] == [[40, 20], [3, 1]]


def test_transforms_of_each_stage_apply_to_elements():
    class Neg(Transform):
        def encodes(self, x: int | Tensor):
            return -x

    assert first(DataLoader([(1, "a"), (2, "b")], 2, after_item=[Neg]))[0].tolist() == [-1, -2]
    assert first(DataLoader([(1, "a"), (2, "b")], 2, after_batch=Neg))[0].tolist() == [-1, -2]


def test_a_collate_function_of_ones_own():
    assert list(DataLoader(range(4), 2, collate=tuple)) == [(0, 1), (2, 3)]


# ---- order -------------------------------------------------------------------------------------


class Sleepy(list):
    def __getitem__(self, i):
        time.sleep(0.0005 * (hash(str(i)) % 5))
        return super().__getitem__(i)


def test_the_order_is_kept_with_several_workers():
    for num_workers in (0, 2, 4):
        assert list(DataLoader(Sleepy(LETTERS), num_workers=num_workers)) == LETTERS
        batches = list(DataLoader(Sleepy(LETTERS), 4, num_workers=num_workers))
        assert flat(batches) == LETTERS


def test_shuffling_differs_between_epochs_and_depends_on_the_seed_alone():
    dl = DataLoader(range(50), 10, shuffle=True, seed=3)
    epochs = [lists(dl) for _ in range(3)]
    assert len({str(e) for e in epochs}) == 3
    assert all(sorted(flat(e)) == list(range(50)) for e in epochs)
    for num_workers in (0, 2, 3):
        again = DataLoader(range(50), 10, shuffle=True, seed=3, num_workers=num_workers)
        assert [lists(again) for _ in range(3)] == epochs
    dl.set_epoch(1)
    assert lists(dl) == epochs[1]
    assert lists(DataLoader(range(50), 10, shuffle=True, seed=4)) != epochs[0]


def test_a_pass_that_is_left_half_way_counts_as_one():
    dl = DataLoader(range(50), 10, shuffle=True, seed=3)
    whole = [lists(dl) for _ in range(2)]
    dl.set_epoch(0)
    next(iter(dl))
    assert lists(dl) == whole[1]


@pytest.mark.parametrize("options", [{"after_item": [Drawn]}, {"after_batch": [Drawn]}])
def test_draws_are_the_same_for_any_number_of_workers(options):
    def epochs(num_workers):
        dl = DataLoader(range(40), 8, shuffle=True, seed=1, num_workers=num_workers, **options)
        return [lists(dl) for _ in range(2)]

    serial = epochs(0)
    assert serial[0] != serial[1]
    assert epochs(2) == epochs(4) == serial


def test_an_items_draws_do_not_depend_on_its_place_in_the_order():
    plain = flat(lists(DataLoader(range(20), 4, seed=1, after_item=[Drawn])))
    mixed = DataLoader(range(20), 6, shuffle=True, seed=1, after_item=[Drawn])
    assert sorted(flat(lists(mixed))) == sorted(plain)


def test_validation_draws_the_same_in_every_pass():
    dl = DataLoader(range(8), 4, after_item=[Drawn], split_idx=1)
    assert lists(dl) == lists(dl) == lists(dl)
    assert dl.one_batch().tolist() == lists(dl)[0]
    train = DataLoader(range(8), 4, after_item=[Drawn], split_idx=0)
    assert lists(train) != lists(train)


def test_the_order_can_be_replaced_by_assignment_also_without_end():
    dl = DataLoader(range(20), 8, shuffle=True)
    dl.get_idxs = lambda: Inf.ones
    assert lists(dl) == [[1] * 8, [1] * 8, [1] * 4]
    dl.get_idxs = lambda: [3, 1, 2]
    assert lists(dl) == [[3, 1, 2]]
    assert lists(DataLoader(range(9), 2, get_idxs=lambda: range(8, 4, -1))) == [[8, 7], [6, 5]]


def test_an_item_that_comes_again_is_drawn_for_anew():
    dl = DataLoader(range(20), 8, after_item=[Drawn], get_idxs=lambda: Inf.ones, n=8)
    assert len(set(lists(dl)[0])) == 8
    dl = DataLoader(range(20), 8, after_batch=[Drawn], get_idxs=lambda: Inf.ones, n=8)
    assert len(set(lists(dl)[0])) == 8


# ---- one batch ---------------------------------------------------------------------------------


def test_looking_at_batches_does_not_change_training():
    looked, plain = (DataLoader(range(50), 5, shuffle=True, seed=0) for _ in range(2))
    seen = {str(looked.one_batch().tolist()) for _ in range(4)}
    assert len(seen) == 4
    assert lists(looked) == lists(plain)


def test_one_batch_works_in_every_form():
    assert DataLoader(range(9), 4).one_batch().tolist() == [0, 1, 2, 3]
    assert DataLoader(map(int, "123"), 2).one_batch().tolist() == [1, 2]
    assert DataLoader(LETTERS).one_batch() == "a"
    assert DataLoader(range(9), 4, num_workers=2).one_batch().tolist() == [0, 1, 2, 3]
    assert DataLoader(range(9), 4).batch_of([5, 5, 1]).tolist() == [5, 5, 1]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: DataLoader([], 4), "the data set has 0 items."),
        (lambda: DataLoader([], 4, drop_last=True), "the data set has 0 items."),
        (
            lambda: DataLoader((i for i in range(3)), 4, drop_last=True),
            "batches have 4 samples, of which there are fewer, and drop_last leaves out",
        ),
        (lambda: DataLoader(Empty(), 4), "the Empty yields no items."),
        (lambda: DataLoader([1], 4, after_item=unreadable, on_bad="skip"), "none of the first 4"),
    ],
)
def test_no_batch_says_why(make, why):
    with pytest.raises(DataError, match=f"There is no batch to take: {why}"):
        make().one_batch()


class Empty:
    def __iter__(self):
        return (i for i in ())


def unreadable(i):
    raise ImageError("The picture cannot be read.")


# ---- threads -----------------------------------------------------------------------------------


def loader_threads():
    return [t for t in threading.enumerate() if t.name.startswith("presize-loader")]


def test_an_iterator_that_is_dropped_or_interrupted_leaves_no_threads():
    dl = DataLoader(Sleepy(LETTERS), 2, num_workers=3)
    it = iter(dl)
    next(it)
    assert len(loader_threads()) == 3
    del it
    assert not loader_threads()
    with pytest.raises(KeyboardInterrupt):
        for _ in dl:
            raise KeyboardInterrupt
    assert not loader_threads()
    assert first(dl) == ["a", "b"]
    assert not loader_threads()


def test_without_workers_everything_is_done_in_the_calling_thread():
    names = set()
    dl = DataLoader(range(4), 2, after_item=lambda i: names.add(threading.current_thread()) or i)
    list(dl)
    assert names == {threading.current_thread()}


# ---- options -----------------------------------------------------------------------------------


def test_new_changes_what_is_named_and_keeps_the_rest():
    dl = DataLoader(range(20), 8, shuffle=True, seed=5, num_workers=2, after_item=lambda i: i + 1)
    dl.get_idxs = lambda: Inf.zeros
    plain = dl.new(shuffle=False, drop_last=True)
    assert lists(plain) == [list(range(1, 9)), list(range(9, 17))]
    assert (plain.num_workers, plain.seed) == (2, 5)
    assert dl.new(bs=4).bs == dl.new(batch_size=4).bs == 4
    other = plain.new(map(int, "12345"), bs=3, drop_last=False)
    assert lists(other) == [[2, 3, 4], [5, 6]]
    with pytest.raises(TypeError, match="suffle"):
        dl.new(suffle=True)


def test_batches_go_to_the_device():
    dl = DataLoader([(torch.zeros(2), "a")] * 4, 2)
    x, letters = first(dl.to("meta"))
    assert x.device.type == "meta" and letters == ("a", "a")
    assert dl.device == torch.device("meta")
    assert dl.new().device == torch.device("meta")


def test_a_batch_larger_than_the_data_is_cut_to_it_with_a_warning():
    with pytest.warns(UserWarning, match="batch size 64 is larger than the data set of 5") as told:
        dl = DataLoader(range(5), 64, drop_last=True)
    assert told[0].filename == __file__
    assert (len(dl), dl.bs) == (1, 5)
    assert lists(dl) == [[0, 1, 2, 3, 4]]
    assert dl.new(list(range(100)), drop_last=False).bs == 64
    with pytest.warns(UserWarning, match="larger than the sampler of 2 indices.*Pass bs=2 or"):
        assert lists(DataLoader(range(5), 4, sampler=[4, 1], drop_last=True)) == [[4, 1]]


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("pin_memory", r"Batches that go to a GPU \(device=\) are made in page-locked memory by"),
        ("collate_fn", r"Did you mean `collate`\?"),
        ("worker_init_fn", "draws are counted, so that no worker needs a seed"),
        ("persistent_workers", "threads cost nothing to start"),
        ("prefetch_factor", "Pass prefetch=, the number of batches under way in all"),
        ("batch_sampler", "Pass sampler=, which gives one index at a time"),
        ("generator", "pass seed="),
        ("multiprocessing_context", "which are always spawned"),
        ("suffle", r"Did you mean `shuffle`\?"),
    ],
)
def test_options_of_other_loaders_are_answered_with_ours(name, way):
    for kind in (DataLoader, TfmdDL):
        with pytest.raises(TypeError, match=rf"^{kind.__name__}\(\) got an .*'{name}'\..* {way}"):
            kind(LETTERS, 2, **{name: None})


def test_options_that_contradict_each_other():
    with pytest.raises(ValueError, match="A map cannot be shuffled.*list"):
        DataLoader(map(str, "abc"), 2, shuffle=True)
    with pytest.raises(ValueError, match="give one of them, not batch_size=2 and bs=3"):
        DataLoader(LETTERS, 2, bs=3)
    with pytest.raises(ValueError, match="at least one sample, but got batch_size=0"):
        DataLoader(LETTERS, 0)
    with pytest.raises(ValueError, match="on_bad is .replace., .skip. or .raise., but got .no."):
        DataLoader(LETTERS, 2, on_bad="no")
    with pytest.raises(ValueError, match="num_workers and prefetch are 0 or more, but got -1"):
        DataLoader(LETTERS, 2, num_workers=-1)


def test_a_subclass_may_define_the_hooks_as_methods():
    class Own(DataLoader):
        ends = 0

        def create_item(self, ref):
            return super().create_item(ref) * 10

        def after_item(self, x):
            return x + 1

        def before_batch(self, samples):
            return samples[::-1]

        def after_batch(self, batch):
            return batch * 2

        def after_iter(self):
            self.ends += 1

        def get_idxs(self):
            return [2, 1, 0]

    class Further(Own):
        pass

    for kind in (Own, Further):
        dl = kind(range(3), 2, num_workers=1)
        assert lists(dl) == [[22, 42], [2]] and dl.ends == 1
        assert lists(kind(range(3), 2, after_item=lambda x: x)) == [[20, 40], [0]]


def test_a_method_that_no_loader_calls_is_refused():
    with pytest.raises(TypeError, match=r"Own.create_batch would never be .* `collate\(self, "):

        class Own(DataLoader):
            def create_batch(self, samples):
                return samples


def test_a_generator_lasts_for_one_pass_and_says_so():
    dl = DataLoader((i for i in range(3)), 2)
    assert lists(dl) == [[0, 1], [2]]
    with pytest.raises(DataError, match="The generator has no items left: it can be walked"):
        list(dl)


def test_rows_of_a_table_are_items():
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=list("xyz"))
    assert lists(DataLoader(frame, 2, after_item=lambda row: row.a)) == [[1, 2], [3]]


@pytest.mark.parametrize("bs", [2.5, "2"])
def test_a_batch_size_is_a_whole_number(bs):
    with pytest.raises(TypeError, match="batch_size is a whole number, but got "):
        DataLoader(range(4), bs)
    assert len(DataLoader(range(4), np.int64(2))) == 2
