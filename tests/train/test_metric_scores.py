"""Scores of a whole epoch against scikit-learn and SciPy, fed in uneven batches."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as skm
import torch
from torch import Tensor

from presize.train.metric_base import GivenBatch
from presize.train.metric_scores import AveragedLabelScore
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


@pytest.mark.parametrize("shape", [(40, 2), (40, 2, 1)])
def test_several_quantities_count_alike(shape: tuple[int, ...]) -> None:
    targets = torch.randn(40, 2) * torch.tensor([1.0, 100.0]) + torch.tensor([0.0, 500.0])
    preds = targets + torch.randn(40, 2) * torch.tensor([1.0, 10.0])
    expected = skm.r2_score(targets, preds)
    assert fed(R2Score(), preds, targets.reshape(shape)) == pytest.approx(expected, rel=1e-5)
    expected = skm.explained_variance_score(targets, preds)
    found = fed(ExplainedVariance(), preds, targets.reshape(shape))
    assert found == pytest.approx(expected, rel=1e-5)


def test_variance_of_pictures_is_that_of_all_pixels() -> None:
    preds, targets = torch.randn(9, 1, 3, 3), torch.randn(9, 3, 3)
    expected = skm.r2_score(targets.flatten(), preds.flatten())
    assert fed(R2Score(), preds, targets) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match=r"`r2_score` compares .* targets of shape \[4\]"):
        R2Score()(torch.randn(4, 2), torch.randn(4))


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


ONE_OUTPUT = [
    (F1Score(), skm.f1_score, {}),
    (F1Score(average="macro"), skm.f1_score, {"average": "macro"}),
    (FBeta(2), skm.fbeta_score, {"beta": 2}),
    (Precision(), skm.precision_score, {}),
    (Recall(), skm.recall_score, {}),
    (Jaccard(), skm.jaccard_score, {}),
    (MatthewsCorrCoef(), skm.matthews_corrcoef, {}),
    (BalancedAccuracy(), skm.balanced_accuracy_score, {}),
    (CohenKappa(), skm.cohen_kappa_score, {}),
    (HammingLoss(), skm.hamming_loss, {}),
]


ONE_OUTPUT_NAMES = ["-".join((score.__name__, *options)) for _, score, options in ONE_OUTPUT]


@pytest.mark.parametrize(("metric", "score", "options"), ONE_OUTPUT, ids=ONE_OUTPUT_NAMES)
def test_one_output_for_yes_or_no(metric: Metric, score: object, options: dict[str, float]) -> None:
    preds, targets = torch.randn(40, 1), torch.arange(40) % 2
    expected = score(targets.numpy(), (preds[:, 0].sigmoid() > 0.5).numpy(), **options)
    assert fed(metric, preds, targets) == pytest.approx(expected)
    assert fed(metric, preds, targets[:, None]) == pytest.approx(expected)
    with pytest.raises(ValueError, match=rf"`{metric.name}` needs a score for each of at least"):
        fed(metric, preds, targets.float())
    with pytest.raises(ValueError, match=rf"`{metric.name}` needs a score for each of at least"):
        fed(metric, preds[:, 0], targets)


def test_ranking_by_one_output() -> None:
    preds, targets = torch.randn(40, 1), torch.arange(40) % 2
    area = skm.roc_auc_score(targets, preds[:, 0])
    assert fed(RocAucBinary(), preds, targets) == pytest.approx(area)
    assert fed(RocAuc(), preds, targets) == pytest.approx(area)
    precision = skm.average_precision_score(targets, preds[:, 0])
    assert fed(APScoreBinary(), preds, targets) == pytest.approx(precision)


def test_ranking_of_sequences() -> None:
    preds, targets = torch.randn(14, 5, 2), torch.arange(70).reshape(14, 5) % 2
    flat = (preds.reshape(-1, 2), targets.reshape(-1))
    for kind in (RocAuc, RocAucBinary, APScoreBinary):
        assert fed(kind(), preds, targets) == pytest.approx(kind()(*flat))


def test_ranking_refuses_masks_and_more_classes() -> None:
    for kind in (RocAuc, RocAucBinary, APScoreBinary):
        with pytest.raises(ValueError, match=rf"{kind.__name__} takes a row .* masks use Jaccard"):
            kind()(torch.randn(2, 2, 4, 4), torch.zeros(2, 4, 4).long())
        with pytest.raises(ValueError, match=r"several labels an item RocAucMulti\(\)"):
            kind()(torch.randn(4, 2), torch.zeros(4, 2).long())
    for kind in (RocAucBinary, APScoreBinary):
        with pytest.raises(ValueError, match=r"is for two classes, but the model has 3 outputs"):
            kind()(torch.randn(6, 3), torch.arange(6) % 3)


ONE_LABEL = [
    (F1ScoreMulti, skm.f1_score, {}),
    (PrecisionMulti, skm.precision_score, {}),
    (RecallMulti, skm.recall_score, {}),
    (JaccardMulti, skm.jaccard_score, {}),
    (FBetaMulti, skm.fbeta_score, {"beta": 2}),
    (MatthewsCorrCoefMulti, skm.matthews_corrcoef, {}),
    (HammingLossMulti, skm.hamming_loss, {}),
]


@pytest.mark.parametrize(("kind", "score", "options"), ONE_LABEL)
def test_one_label(kind: type[Metric], score: object, options: dict[str, float]) -> None:
    preds, targets = torch.randn(40, 1), (torch.rand(40, 1) > 0.7).float()
    expected = score(targets[:, 0].numpy(), (preds[:, 0] > 0).numpy(), **options)
    for shapes in ((preds, targets), (preds, targets[:, 0]), (preds[:, 0], targets[:, 0])):
        assert fed(kind(**options), *shapes) == pytest.approx(expected)
    if issubclass(kind, AveragedLabelScore):
        for average in ("micro", "weighted"):
            given = kind(**options, average=average)
            assert fed(given, preds, targets) == pytest.approx(expected)


def test_one_label_averaged_over_the_items() -> None:
    preds, targets = torch.randn(40, 1), (torch.rand(40, 1) > 0.7).float()
    both = ((preds > 0) & targets.bool()).float().mean()
    assert fed(F1ScoreMulti(average="samples"), preds, targets) == pytest.approx(float(both))


def test_ranking_of_one_label() -> None:
    preds, targets = torch.randn(40, 1), (torch.arange(40) % 3 == 0).float()
    area = skm.roc_auc_score(targets, preds[:, 0])
    precision = skm.average_precision_score(targets, preds[:, 0])
    for shape in ((40,), (40, 1)):
        assert fed(RocAucMulti(), preds, targets.reshape(shape)) == pytest.approx(area)
        assert fed(APScoreMulti(), preds, targets.reshape(shape)) == pytest.approx(precision)


def test_multi_score_of_single_labels() -> None:
    with pytest.raises(ValueError, match=r"outputs of shape \[4, 3\] and targets of shape \[4\]"):
        F1ScoreMulti().accumulate(GivenBatch(torch.randn(4, 3), (torch.zeros(4),)))


def test_names() -> None:
    names = [m.name for m in (F1Score(), FBeta(2), RocAuc(), APScoreMulti(), R2Score())]
    assert names == ["f1_score", "f_beta", "roc_auc", "ap_score_multi", "r2_score"]
