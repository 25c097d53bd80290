"""Confident learning against the definition in plain NumPy, and where the errors are known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from presize.core.errors import DataError
from presize.interpret import confident_learning as module
from presize.interpret.confident_learning import confident_learning


def by_hand(p, given):
    """Northcutt et al., section 3.1: the confident joint, an item at a time."""
    n, c = p.shape
    t = np.array([p[given == j, j].mean() if (given == j).any() else np.nan for j in range(c)])
    t = np.where(np.isnan(t), np.nanmean(t), t)
    joint = np.zeros((c, c), dtype=np.int64)
    off = np.zeros(n, dtype=bool)
    for x in range(n):
        confident = [j for j in range(c) if p[x, j] >= t[j] - 1e-6]
        if confident:
            j = max(confident, key=lambda j: (p[x, j], j == given[x]))
            joint[given[x], j] += 1
            off[x] = j != given[x]
    return joint, off


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), c=st.integers(2, 6))
def test_it_is_the_definition(seed, n, c):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(c, 0.5), n).astype(np.float32)
    given = rng.integers(0, c, n)
    found = confident_learning(torch.from_numpy(p), torch.from_numpy(given))
    joint, off = by_hand(p.astype(np.float64), given)
    assert np.array_equal(found.joint.numpy(), joint)
    assert np.array_equal(found.suspected.numpy(), off)
    assert (found.likely.numpy() != given).all()
    rest = p.astype(np.float64).copy()
    own = rest[np.arange(n), given]
    rest[np.arange(n), given] = -1
    other = rest.max(1)
    assert found.scores.dtype == torch.float32
    assert found.scores.numpy() == pytest.approx(other / (other + own), abs=1e-5)


def test_rows_are_judged_in_pieces_as_together(monkeypatch):
    p, given = torch.rand(50, 4).softmax(1), torch.randint(4, (50,))
    whole = confident_learning(p, given)
    monkeypatch.setattr(module, "_ROWS", 7)
    pieces = confident_learning(p, given)
    for name in ("scores", "likely", "suspected", "joint"):
        assert torch.equal(getattr(whole, name), getattr(pieces, name)), name


def noisy(n, c, seed):
    """Probabilities of a fair model, and labels of which one in ten was changed."""
    draws = torch.Generator().manual_seed(seed)
    true = torch.randint(c, (n,), generator=draws)
    z = torch.randn(n, c, generator=draws)
    z[torch.arange(n), true] += 5
    given, changed = true.clone(), torch.rand(n, generator=draws) < 0.1
    given[changed] = (true[changed] + torch.randint(1, c, (n,), generator=draws)[changed]) % c
    return z.softmax(1), given, true, changed


@pytest.mark.parametrize("seed", range(3))
def test_changed_labels_are_found(seed):
    from sklearn.metrics import average_precision_score

    p, given, true, changed = noisy(2000, 8, seed)
    found = confident_learning(p, given)
    assert average_precision_score(changed, found.scores) > 0.95
    assert (found.likely[changed] == true[changed]).float().mean() > 0.95
    assert changed[found.suspected].float().mean() > 0.9
    assert found.suspected[changed].float().mean() > 0.75


def test_a_class_that_the_model_is_shy_of_is_not_suspected():
    """Where class 1 never gets more than 0.4, its own items are no errors; by argmax all were."""
    p = torch.tensor([[0.9, 0.1], [0.95, 0.05], [0.6, 0.4], [0.62, 0.38]])
    found = confident_learning(p, torch.tensor([0, 0, 1, 1]))
    assert not found.suspected.any()
    turned = confident_learning(p, torch.tensor([0, 1, 1, 1]))
    assert turned.suspected.tolist() == [False, True, False, False]
    assert turned.likely[1] == 0


def test_of_equals_it_is_the_label():
    """A model that says the same of everything is no reason to suspect all of a class."""
    found = confident_learning(torch.full((6, 3), 1 / 3), torch.arange(6) % 3)
    assert not found.suspected.any() and (found.scores == 0.5).all()
    assert torch.equal(found.joint, 2 * torch.eye(3, dtype=torch.int64))


def test_what_is_likely_is_the_confident_class():
    """Class 2 is the most probable other one of the first item, but 1 is confident of it."""
    p = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.55, 0.3, 0.15], [0.1, 0.0, 0.9]])
    found = confident_learning(p, torch.tensor([0, 0, 1, 2]))
    assert found.suspected.tolist() == [True, False, False, False]
    assert int(found.likely[0]) == 1
    assert float(found.scores[0]) == pytest.approx(0.5 / 0.7)  # by the most probable other class


def test_nothing_is_suspected_where_the_model_agrees():
    found = confident_learning(torch.eye(3).repeat(4, 1), torch.arange(3).repeat(4))
    assert not found.suspected.any() and float(found.scores.max()) < 1e-6
    wrong = confident_learning(torch.eye(3).repeat(4, 1), torch.tensor([1, 1, 2] + [0, 1, 2] * 3))
    assert wrong.suspected.nonzero().flatten().tolist() == [0]
    assert float(wrong.scores[0]) == pytest.approx(1)


def test_half_precision_and_the_memory_of_others_stay_as_they_are():
    p, given, *_ = noisy(100, 5, 0)
    before = p.clone()
    full, half = confident_learning(p, given), confident_learning(p.half(), given)
    assert torch.equal(p, before)
    assert torch.allclose(full.scores, half.scores, atol=1e-2)


def test_what_cannot_be_judged_is_told():
    p = torch.full((4, 2), 0.5)
    labels = torch.tensor([0, 1, 0, 1])
    with pytest.raises(DataError, match="there are no items"):
        confident_learning(p[:0], labels[:0])
    with pytest.raises(DataError, match="With one class alone no label can be wrong"):
        confident_learning(p[:, :1], labels * 0)
    with pytest.raises(DataError, match=r"got \[4, 2\] and \[3\]"):
        confident_learning(p, labels[:3])
    with pytest.raises(DataError, match="from 0 to 1, but there are some from -100 to 1"):
        confident_learning(p, torch.tensor([0, 1, -100, 1]))
    for bad in (1.5, -0.1, float("nan")):
        p[2, 1] = bad
        with pytest.raises(DataError, match=r"other values in row 2. Pass what the activation"):
            confident_learning(p, labels)
