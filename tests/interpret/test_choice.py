import pytest
import torch
from torch import nn

from presize.interpret.choice import interpret
from presize.interpret.classification import ClassificationInterpretation
from presize.interpret.interpretation import Interpretation
from presize.interpret.multilabel import MultiLabelInterpretation
from presize.train.losses import BCEWithLogitsLossFlat


@pytest.mark.parametrize(
    ("task", "targets", "loss", "kind"),
    [
        ("classification", torch.tensor([0, 2, 1]), None, ClassificationInterpretation),
        ("multilabel", torch.eye(3), BCEWithLogitsLossFlat(), MultiLabelInterpretation),
        ("regression", torch.eye(3), nn.MSELoss(), Interpretation),
        (None, torch.eye(3), nn.MSELoss(), Interpretation),
    ],
    ids=["classification", "multilabel", "regression", "unknown"],
)
def test_the_kind_is_that_of_the_task(stored_learner, task, targets, loss, kind):
    learn = stored_learner(torch.eye(3), targets, loss)
    learn.dls.train.dataset.task = task
    interp = interpret(learn)
    assert type(interp) is kind
    assert torch.equal(interp.losses, learn.get_preds(with_loss=True)[2])
    act = interpret(learn, act=lambda x: x * 0).decoded if task == "regression" else None
    assert act is None or not act.any()
