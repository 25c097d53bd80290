"""Are two samples of the same kind? By how much they differ, and how likely chance does that."""

import torch
from torch import Tensor


def distances(rows: Tensor, known: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far new values are from known ones, column by column: [s], [s].

    The first is the distance of Kolmogorov and Smirnov, 0 alike, 1 apart: the largest difference
    between the shares of both that are below some value. The second is that of Wasserstein: by how
    much values would have to be moved on average, in their unit.

    Args:
        rows: new values, float64 [n, s].
        known: those of the reference, float64 [m, s].
        weights: what each of them counts for, float64 [m, s]; 1 in each column.
    """
    values, order = torch.cat([rows, known]).sort(0)
    steps = torch.cat([torch.full_like(rows, 1 / len(rows)), -weights]).gather(0, order)
    apart = steps.cumsum(0)[:-1].abs()  # after the last value both shares are 1
    widths = values.diff(dim=0)
    gaps = torch.where(widths > 0, apart, 0.0)  # between equal values there is no share
    return gaps.amax(0), (apart * widths).sum(0)


def chance_of(gaps: Tensor, n: int, m: Tensor) -> Tensor:
    """Return how likely samples of n and m values of one kind differ by so much or more: [s].

    Kolmogorov's distribution with Stephens' correction for few values ("Use of the
    Kolmogorov-Smirnov, Cramér-von Mises and related statistics without extensive tables", 1970);
    too high, never too low, where values are equal to each other.

    Args:
        gaps: distances of Kolmogorov and Smirnov, [s].
        n: how many new values there are.
        m: how many known ones, for each distance.
    """
    root = (n * m / (n + m)).sqrt()
    x = (root + 0.12 + 0.11 / root) * gaps
    terms = torch.arange(1, 101, dtype=torch.float64)[:, None]
    signs = 1 - 2 * ((terms - 1) % 2)
    series = 2 * (signs * torch.exp(-2 * terms.square() * x.square())).sum(0)
    return torch.where(x < 0.2, torch.ones_like(x), series.clamp(0, 1))
