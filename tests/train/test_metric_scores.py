"""Scores of a whole epoch against scikit-learn and SciPy, fed in uneven batches."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as skm
import torch
from torch import Tensor

from presize.train.metric_base import GivenBatch
from presize.train.metrics import (
    APScoreBinary,
    APScoreMulti,
    BalancedAccuracy,
    CohenKappa,
    ExplainedVariance,
    F1Score,
    F1ScoreMulti,
    FBeta,
    FBetaMulti,
    HammingLoss,
    HammingLossMulti,
    Jaccard,
    JaccardMulti,
    MatthewsCorrCoef,
    MatthewsCorrCoefMulti,
    Metric,
    PearsonCorrCoef,
    Precision,
    PrecisionMulti,
    R2Score,
    Recall,
    RecallMulti,
    RocAuc,
    RocAucBinary,
    RocAucMulti,
    SpearmanCorrCoef,
)


def fed(metric: Metric, preds: Tensor, targets: Tensor) -> float:
    metric.reset()
    for p, t in zip(preds.split(7), targets.split(7), strict=True):
        metric.accumulate(GivenBatch(p, (t,)))
    return float(metric.value)


@pytest.mark.parametrize(
    ("metric", "score", "options"),
    [
        (F1Score(), skm.f1_score, {}),
        (FBeta(2), skm.fbeta_score, {"beta": 2}),
        (Precision(), skm.precision_score, {}),
        (Recall(), skm.recall_score, {}),
        (Recall(pos_label=0), skm.recall_score, {"pos_label": 0}),
        (Jaccard(), skm.jaccard_score, {}),
        (MatthewsCorrCoef(), skm.matthews_corrcoef, {}),
        (HammingLoss(), skm.hamming_loss, {}),
    ],
)
def test_two_classes(metric: Metric, score: object, options: dict[str, object]) -> None:
    preds, targets = torch.randn(40, 2), torch.randint(2, (40,))
    expected = score(targets.numpy(), preds.argmax(1).numpy(), **options)
    assert fed(metric, preds, targets) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "score", "options"),
    [
        (F1Score(average="macro"), skm.f1_score, {"average": "macro"}),
        (F1Score(average="weighted"), skm.f1_score, {"average": "weighted"}),
        (Precision(average="micro"), skm.precision_score, {"average": "micro"}),
        (Jaccard(average="macro", labels=[0, 1]), skm.jaccard_score,
         {"average": "macro", "labels": [0, 1]}),
        (MatthewsCorrCoef(), skm.matthews_corrcoef, {}),
        (BalancedAccuracy(), skm.balanced_accuracy_score, {}),
        (BalancedAccuracy(adjusted=True), skm.balanced_accuracy_score, {"adjusted": True}),
        (CohenKappa(), skm.cohen_kappa_score, {}),
        (CohenKappa(weights="quadratic"), skm.cohen_kappa_score, {"weights": "quadratic"}),
        (HammingLoss(), skm.hamming_loss, {}),
    ],
)  # fmt: skip
def test_several_classes(metric: Metric, score: object, options: dict[str, object]) -> None:
    preds, targets = torch.randn(40, 4), torch.randint(4, (40,))
    expected = score(targets.numpy(), preds.argmax(1).numpy(), **options)
    assert fed(metric, preds, targets) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "score", "options"),
    [
        (F1ScoreMulti(thresh=0.6), skm.f1_score, {"average": "macro"}),
        (F1ScoreMulti(thresh=0.6, average="samples"), skm.f1_score, {"average": "samples"}),
        (FBetaMulti(0.5, thresh=0.6), skm.fbeta_score, {"average": "macro", "beta": 0.5}),
        (PrecisionMulti(thresh=0.6), skm.precision_score, {"average": "macro"}),
        (RecallMulti(thresh=0.6), skm.recall_score, {"average": "macro"}),
        (JaccardMulti(thresh=0.6), skm.jaccard_score, {"average": "macro"}),
        (HammingLossMulti(thresh=0.6), skm.hamming_loss, {}),
    ],
)
def test_several_labels(metric: Metric, score: object, options: dict[str, object]) -> None:
    preds, targets = torch.randn(40, 3), torch.randint(2, (40, 3))
    if score is not skm.hamming_loss:
        options = {**options, "zero_division": 0}
    expected = score(targets.numpy(), (preds.sigmoid() > 0.6).numpy(), **options)
    assert fed(metric, preds, targets.float()) == pytest.approx(expected)


def test_correlation_of_labels() -> None:
    preds, targets = torch.randn(40, 3), torch.randint(2, (40, 3))
    flat = ((preds > 0.5).numpy().ravel(), targets.numpy().ravel())
    expected = skm.matthews_corrcoef(flat[1], flat[0])
    assert fed(MatthewsCorrCoefMulti(sigmoid=False), preds, targets) == pytest.approx(expected)


def test_ranking() -> None:
    two, four = torch.randn(40, 2), torch.randn(40, 4)
    binary, classes = torch.arange(40) % 2, torch.arange(40) % 4
    expected = skm.roc_auc_score(binary, two.softmax(1)[:, 1])
    assert fed(RocAucBinary(), two, binary) == pytest.approx(expected)
    assert fed(RocAuc(), two, binary) == pytest.approx(expected)
    probs = four.softmax(1).double()
    probs /= probs.sum(1, keepdim=True)
    for how in ("ovr", "ovo"):
        expected = skm.roc_auc_score(classes, probs, multi_class=how)
        assert fed(RocAuc(multi_class=how), four, classes) == pytest.approx(expected)
    expected = skm.average_precision_score(binary, two.softmax(1)[:, 1])
    assert fed(APScoreBinary(), two, binary) == pytest.approx(expected)


def test_ranking_of_labels() -> None:
    preds, targets = torch.randn(40, 3), torch.randint(2, (40, 3))
    probs = preds.sigmoid()
    expected = skm.average_precision_score(targets, probs)
    assert fed(APScoreMulti(), preds, targets) == pytest.approx(expected)
    assert fed(RocAucMulti(), preds, targets) == pytest.approx(skm.roc_auc_score(targets, probs))


def test_regression() -> None:
    preds, targets = torch.randn(40, 1), torch.randn(40)
    a, b = preds[:, 0].numpy(), targets.numpy()
    assert fed(R2Score(), preds, targets) == pytest.approx(skm.r2_score(b, a), rel=1e-5)
    expected = skm.explained_variance_score(b, a)
    assert fed(ExplainedVariance(), preds, targets) == pytest.approx(expected, rel=1e-5)
    expected = scipy.stats.pearsonr(a, b).statistic
    assert fed(PearsonCorrCoef(), preds, targets) == pytest.approx(expected, rel=1e-5)
    expected = scipy.stats.spearmanr(a, b).statistic
    assert fed(SpearmanCorrCoef(), preds, targets) == pytest.approx(expected, rel=1e-5)


def test_a_class_that_is_never_predicted_is_no_news() -> None:
    preds = torch.tensor([[1.0, 0.0]]).repeat(6, 1)
    targets = torch.tensor([0, 1, 0, 1, 0, 1])
    assert [fed(m(), preds, targets) for m in (F1Score, Precision, Recall, Jaccard)] == [0] * 4
    # nor one that is predicted and not there
    assert fed(BalancedAccuracy(), preds, torch.ones(6).long()) == 0.0


def test_a_class_without_targets_has_no_ranking() -> None:
    preds = torch.randn(8, 2)
    with pytest.warns(UserWarning, match=r"`roc_auc_binary` is not defined here: class 1 is not"):
        assert np.isnan(fed(RocAucBinary(), preds, torch.zeros(8).long()))
    with pytest.warns(UserWarning, match="class 2 is not among the 8 targets"):
        assert np.isnan(fed(RocAuc(), torch.randn(8, 3), torch.arange(8) % 2))
    with pytest.warns(UserWarning, match="class 0 is not"):
        assert np.isnan(fed(RocAucMulti(), preds, torch.ones(8, 2)))


def test_binary_score_of_many_classes_fails_at_the_first_batch() -> None:
    for kind in (F1Score, Precision, Recall, Jaccard):
        text = rf"{kind.__name__}\(\) is for two classes, but the model has 37 .*average='macro'"
        with pytest.raises(ValueError, match=text):
            kind().accumulate(GivenBatch(torch.randn(4, 37), (torch.zeros(4),)))


def test_multi_score_of_single_labels() -> None:
    with pytest.raises(ValueError, match=r"outputs of shape \[4, 3\] and targets of shape \[4\]"):
        F1ScoreMulti().accumulate(GivenBatch(torch.randn(4, 3), (torch.zeros(4),)))


def test_names() -> None:
    names = [m.name for m in (F1Score(), FBeta(2), RocAuc(), APScoreMulti(), R2Score())]
    assert names == ["f1_score", "f_beta", "roc_auc", "ap_score_multi", "r2_score"]
