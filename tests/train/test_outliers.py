"""The outlier score: strange items score higher, and it comes back from its tensors."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from presize.core.errors import DataError, ModelFileError
from presize.train.outliers import Outliers


def clusters(n: int = 300, d: int = 24, c: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features of some classes, which vary more in some directions than in others."""
    g = torch.Generator().manual_seed(seed)
    centres = 4 * torch.randn(c, d, generator=torch.Generator().manual_seed(9))
    y = torch.arange(n) % c
    return centres[y] + torch.randn(n, d, generator=g) * torch.linspace(2, 0.1, d), y


def test_it_is_the_distance_of_mahalanobis_to_the_nearest_class() -> None:
    x, y = clusters()
    unit = F.normalize(x.double()).numpy()
    centres = np.stack([unit[y.numpy() == c].mean(0) for c in range(3)])
    within = unit - centres[y.numpy()]
    covariance = within.T @ within / len(unit)
    covariance += 0.01 * np.trace(covariance) / 24 * np.eye(24)
    inverse = np.linalg.inv(covariance)
    new = clusters(seed=5)[0]
    off = F.normalize(new.double()).numpy()[:, None] - centres
    expected = np.sqrt(np.einsum("ncd,de,nce->nc", off, inverse, off).min(1))
    np.testing.assert_allclose(Outliers.fit(x, y).score(new), expected, rtol=1e-3)


@pytest.mark.parametrize("d", [24, 400])
def test_what_is_of_no_class_is_told_from_what_is(d: int) -> None:
    from sklearn.metrics import roc_auc_score

    x, y = clusters(d=d)
    outliers = Outliers.fit(x, y)
    known = outliers.score(clusters(d=d, seed=1)[0])
    strange = outliers.score(3 * torch.randn(300, d))
    assert roc_auc_score([0] * 300 + [1] * 300, torch.cat([known, strange])) > 0.98


def test_a_class_that_was_left_out_is_strange() -> None:
    x, y = clusters(n=400, c=4)
    outliers = Outliers.fit(x[y < 3], y[y < 3])
    new, label = clusters(n=400, c=4, seed=2)
    scores = outliers.score(new)
    assert scores[label == 3].min() > scores[label < 3].quantile(0.95)


def test_brighter_features_of_the_same_kind_score_the_same() -> None:
    x, y = clusters()
    outliers = Outliers.fit(x, y)
    assert torch.allclose(outliers.score(5 * x), outliers.score(x), rtol=1e-3)


def test_class_numbers_may_have_gaps() -> None:
    x, y = clusters()
    assert torch.equal(Outliers.fit(x, 7 * y).score(x), Outliers.fit(x, y).score(x))


def test_it_comes_back_from_its_tensors_and_is_small() -> None:
    x = torch.randn(300, 2048)
    outliers = Outliers.fit(x, torch.arange(300) % 100)
    tensors = outliers.tensors()
    assert sum(t.numel() * t.element_size() for t in tensors.values()) < 2_000_000
    assert all(t.dtype == torch.float32 and t.is_contiguous() for t in tensors.values())
    again = Outliers.from_tensors({name: t.clone() for name, t in tensors.items()})
    assert torch.equal(again.score(x[:9]), outliers.score(x[:9]))


def test_few_or_equal_items_do_not_break_it() -> None:
    two = Outliers.fit(torch.eye(2), torch.tensor([0, 1]))
    assert two.score(torch.eye(2)).isfinite().all()
    x = torch.tensor([[1.0, 0, 0]] * 5 + [[0, 1.0, 0]] * 5)
    scores = Outliers.fit(x, torch.arange(10) // 5).score(torch.eye(3))
    assert scores.isfinite().all() and scores[2] > 10 * scores[:2].max().clamp_min(0.01)
    assert two.score(torch.zeros(0, 2)).shape == (0,)
    assert two.score(torch.zeros(1, 2)).isfinite().all()


def test_what_cannot_be_fitted_is_told() -> None:
    with pytest.raises(DataError, match=r"wants features \[n, d\].*got \[4\] and \[4\]"):
        Outliers.fit(torch.randn(4), torch.zeros(4))
    with pytest.raises(DataError, match="two items or more"):
        Outliers.fit(torch.randn(1, 3), torch.zeros(1))
    with pytest.raises(DataError, match="not finite"):
        Outliers.fit(torch.tensor([[1.0, torch.nan], [0, 1]]), torch.zeros(2))
    with pytest.raises(DataError, match="the same for all items"):
        Outliers.fit(torch.ones(5, 3), torch.zeros(5))
    outliers = Outliers.fit(*clusters())
    with pytest.raises(DataError, match=r"fitted to features \[n, 24\], but got \[2, 25\]"):
        outliers.score(torch.randn(2, 25))


def test_tensors_of_a_file_are_checked() -> None:
    tensors = Outliers.fit(*clusters()).tensors()
    with pytest.raises(ModelFileError, match="wants the tensors mean, directions.*it has mean"):
        Outliers.from_tensors({"mean": tensors["mean"]})
    with pytest.raises(ModelFileError, match=r"does not fit: mean \[3\]"):
        Outliers.from_tensors(tensors | {"mean": torch.zeros(3)})
    with pytest.raises(ModelFileError, match="not finite"):
        Outliers.from_tensors(tensors | {"rest": torch.tensor(torch.nan)})
