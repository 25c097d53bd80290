"""How far samples are apart, held against SciPy."""

import numpy as np
import pytest
import torch
from scipy import stats

from presize.train.drift_distance import chance_of, distances


def evenly(known):
    return torch.full_like(known, 1 / len(known))


@pytest.mark.parametrize(("n", "m"), [(30, 256), (300, 40), (7, 7)])
def test_both_distances_are_those_of_scipy(n, m):
    rng = np.random.default_rng(n)
    new, old = rng.normal(0.3, 1, (n, 3)).round(1), rng.normal(0, 1, (m, 3)).round(1)  # with ties
    known = torch.tensor(old)
    gaps, areas = distances(torch.tensor(new), known, evenly(known))
    ks = [stats.ks_2samp(new[:, i], old[:, i]).statistic for i in range(3)]
    moved = [stats.wasserstein_distance(new[:, i], old[:, i]) for i in range(3)]
    np.testing.assert_allclose(gaps, ks, atol=1e-12)
    np.testing.assert_allclose(areas, moved, atol=1e-12)


def test_known_values_count_for_their_weights():
    rng = np.random.default_rng(1)
    new, old = torch.tensor(rng.normal(size=(50, 2))), torch.tensor(rng.normal(size=(40, 2)))
    times = torch.tensor(rng.integers(0, 4, (40, 2)))
    gaps, areas = distances(new, old, times / times.sum(0))
    for i in range(2):
        repeated = old[:, i].repeat_interleave(times[:, i])[:, None]
        wanted = distances(new[:, i : i + 1], repeated, evenly(repeated))
        assert gaps[i] == pytest.approx(float(wanted[0]))
        assert areas[i] == pytest.approx(float(wanted[1]))


def test_values_that_are_all_equal_are_not_apart():
    same = torch.ones(9, 1, dtype=torch.float64)
    assert [float(d) for d in distances(same[:4], same, evenly(same))] == [0, 0]
    assert [float(d) for d in distances(3 * same[:4], same, evenly(same))] == pytest.approx([1, 2])


@pytest.mark.parametrize(("n", "m"), [(30, 500), (300, 300), (100, 40)])
def test_chance_is_that_of_exact_tables(n, m):
    gaps = torch.tensor([0.05, 0.1, 0.2, 0.3, 0.45, 0.9], dtype=torch.float64)
    found = chance_of(gaps, n, torch.tensor(float(m)))
    wanted = [stats.kstwo.sf(gap, round(n * m / (n + m))) for gap in gaps.tolist()]
    np.testing.assert_allclose(found, wanted, rtol=0.15, atol=2e-3)
    assert chance_of(torch.zeros(1, dtype=torch.float64), n, torch.tensor(float(m))) == 1


def test_chance_calls_no_more_alarms_than_it_says():
    torch.manual_seed(0)
    known = torch.randn(400, 2000, dtype=torch.float64)
    gaps, _ = distances(torch.randn(60, 2000, dtype=torch.float64), known, evenly(known))
    chance = chance_of(gaps, 60, torch.tensor(400.0))
    for level in (0.01, 0.05, 0.2):
        spread = (level * (1 - level) / 2000) ** 0.5
        assert 0.5 * level < float((chance <= level).double().mean()) < level + 4 * spread
