"""The loop on a tiny regression, beside a loop written by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import (
    EVENTS,
    Callback,
    CancelBatch,
    CancelEpoch,
    CancelFit,
    CancelStep,
    CancelTrain,
    CancelValidate,
)
from presize.callbacks.progress import ProgressCallback
from presize.callbacks.schedule import ParamScheduler
from presize.core.errors import DataError, TrainingError
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.metrics import accuracy
from presize.train.optim import SGD, OptimWrapper


def pairs(n, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=g)
    return list(zip(x, x @ torch.tensor([[1.0], [-2.0], [0.5]]), strict=True))


def make_dls(bs=8, n=40):
    return DataLoaders(DataLoader(pairs(n), bs), DataLoader(pairs(20, 1), bs), device="cpu")


def make_learner(model=None, **options):
    options = {"loss_func": F.mse_loss, "opt_func": SGD, "lr": 0.1} | options
    return Learner(make_dls(), model or nn.Linear(3, 1), **options)


class Log(Callback):
    """Writes down every event."""

    order = 1000

    def __init__(self):
        self.events = []


for _event in EVENTS:
    setattr(Log, _event, lambda self, learn, name=_event: self.events.append(name))

TRAIN = ["before_batch", "after_pred", "after_loss", "before_backward", "after_backward"]
TRAIN += ["before_step", "after_step", "after_batch"]
VALID = ["before_batch", "after_pred", "after_loss", "after_batch"]


def quiet_fit(learn, *args, **options):
    with learn.no_logging():
        learn.fit(*args, **options)


def test_the_order_of_events_of_a_whole_fit():
    log = Log()
    learn = make_learner(cbs=log)
    quiet_fit(learn, 1)
    expected = ["after_create", "before_fit", "before_epoch", "before_train", *TRAIN * 5]
    expected += ["after_train", "before_validate", *VALID * 3, "after_validate"]
    assert log.events == [*expected, "after_epoch", "after_fit"]


def test_the_loop_is_the_loop_one_writes_by_hand():
    learn = make_learner()
    twin = nn.Linear(3, 1)
    twin.load_state_dict(learn.model.state_dict())
    quiet_fit(learn, 3)
    opt = torch.optim.SGD(twin.parameters(), 0.1)
    for _ in range(3):
        for x, y in learn.dls.train:
            F.mse_loss(twin(x), y).backward()
            opt.step()
            opt.zero_grad()
    assert torch.equal(learn.model.weight, twin.weight)
    whole = DataLoader(pairs(20, 1), 20).one_batch()
    expected = F.mse_loss(twin(whole[0]), whole[1]).item()
    assert learn.recorder.values[-1][1] == pytest.approx(expected, rel=1e-5)


def test_averages_weigh_batches_by_their_size():
    learn = make_learner(metrics=lambda p, t: (p - t).abs().mean())
    loss, mae = learn.validate()
    x, y = DataLoader(pairs(20, 1), 20).one_batch()
    with torch.no_grad():
        p = learn.model(x)
    assert loss == pytest.approx(F.mse_loss(p, y).item(), rel=1e-5)
    assert mae == pytest.approx((p - y).abs().mean().item(), rel=1e-5)


@pytest.mark.parametrize("event", TRAIN[:-1])
def test_a_cancelled_batch_still_ends_and_training_goes_on(event):
    def cancel(self, learn):
        if learn.training and learn.iter == 1:
            raise CancelBatch

    log = Log()
    canceller = type("Canceller", (Callback,), {"order": 2000, event: cancel})()
    learn = make_learner(cbs=[log, canceller])
    quiet_fit(learn, 1)
    at = log.events.index("after_cancel_batch")
    assert log.events[at + 1] == "after_batch"
    assert log.events.count("after_batch") == 8
    assert log.events.count("after_cancel_batch") == 1


@pytest.mark.parametrize(
    ("kind", "event", "after"),
    [
        (CancelTrain, "after_batch", ["after_cancel_train", "after_train"]),
        (CancelValidate, "before_validate", ["after_cancel_validate", "after_validate"]),
        (CancelEpoch, "before_train", ["after_cancel_epoch", "after_epoch"]),
        (CancelFit, "before_train", ["after_cancel_fit", "after_fit"]),
        (CancelStep, "before_step", ["after_cancel_step", "after_batch"]),
    ],
)
def test_each_cancel_is_followed_by_its_two_events(kind, event, after):
    def cancel(self, learn):
        raise kind

    log = Log()
    members = {"order": 2000, "run_valid": False, event: cancel}
    canceller = type("Canceller", (Callback,), members)()
    quiet_fit(make_learner(cbs=[log, canceller]), 1)
    at = log.events.index(after[0])
    assert log.events[at : at + 2] == after


@pytest.mark.parametrize("accumulate", [2, 3, 5, 7])
def test_accumulated_batches_step_as_one_large_batch_does(accumulate):
    # 5 batches of 8: groups of 2, 2, 1 - of 3, 2 - of 5 - and one that never fills up
    learn = make_learner(accumulate=accumulate)
    twin = nn.Linear(3, 1)
    twin.load_state_dict(learn.model.state_dict())
    opt = torch.optim.SGD(twin.parameters(), 0.1)
    batches = list(learn.dls.train)
    for start in range(0, len(batches), accumulate):
        x, y = map(torch.cat, zip(*batches[start : start + accumulate], strict=True))
        F.mse_loss(twin(x), y).backward()
        opt.step()
        opt.zero_grad()
    stepped = []

    class Steps(Callback):
        run_valid = False

        def after_batch(self, learn):
            stepped.append(learn.stepped)

    quiet_fit(learn, 1, cbs=Steps())
    assert torch.allclose(learn.model.weight, twin.weight, atol=1e-6)
    assert stepped == [(i + 1) % accumulate == 0 or i == 4 for i in range(5)]


def test_a_short_last_batch_counts_by_its_items():
    dls = DataLoaders(DataLoader(pairs(13), 5), DataLoader(pairs(20, 1), 8), device="cpu")
    learn = Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, lr=0.1, accumulate=3)
    twin = nn.Linear(3, 1)
    twin.load_state_dict(learn.model.state_dict())
    x, y = map(torch.stack, zip(*pairs(13), strict=True))
    F.mse_loss(twin(x), y).backward()
    torch.optim.SGD(twin.parameters(), 0.1).step()
    quiet_fit(learn, 1)
    assert torch.allclose(learn.model.weight, twin.weight, atol=1e-6)


def test_gradients_are_complete_before_the_step_and_events_come_once_a_batch():
    class Norms(Callback):
        run_valid = False

        def __init__(self):
            self.seen, self.events = [], []

        def after_backward(self, learn):
            self.events.append("backward")

        def before_step(self, learn):
            self.events.append("step")
            self.seen.append(learn.model.weight.grad.clone())

    norms = Norms()
    learn = make_learner(accumulate=2, cbs=norms)
    twin = nn.Linear(3, 1)
    twin.load_state_dict(learn.model.state_dict())
    first, second = list(learn.dls.train)[:2]
    x, y = map(torch.cat, zip(first, second, strict=True))
    F.mse_loss(twin(x), y).backward()
    quiet_fit(learn, 1)
    assert torch.allclose(norms.seen[0], twin.weight.grad, atol=1e-6)
    two = ["backward", "backward", "step"]
    assert norms.events == [*two, *two, "backward", "step"]


def test_a_cancelled_batch_leaves_its_group_and_the_rest_steps_at_the_end():
    class Cancel(Callback):
        run_valid = False

        def before_batch(self, learn):
            if learn.iter in (1, 4):
                raise CancelBatch

    learn = make_learner(accumulate=2, cbs=Cancel())
    twin = nn.Linear(3, 1)
    twin.load_state_dict(learn.model.state_dict())
    opt = torch.optim.SGD(twin.parameters(), 0.1)
    batches = list(learn.dls.train)
    for group in ([batches[0], batches[2]], [batches[3]]):
        x, y = map(torch.cat, zip(*group, strict=True))
        F.mse_loss(twin(x), y).backward()
        opt.step()
        opt.zero_grad()
    quiet_fit(learn, 1)
    assert torch.allclose(learn.model.weight, twin.weight, atol=1e-6)


def test_gradients_of_an_epoch_that_was_left_half_way_do_not_reach_the_next():
    class Leave(Callback):
        run_valid = False

        def after_batch(self, learn):
            if learn.epoch == 0 and learn.iter == 2:
                raise CancelTrain

    learn = make_learner(accumulate=2, cbs=Leave())
    twin = nn.Linear(3, 1)
    twin.load_state_dict(learn.model.state_dict())
    opt = torch.optim.SGD(twin.parameters(), 0.1)
    batches = list(learn.dls.train)
    for group in (batches[:2], batches[:2], batches[2:4], batches[4:]):
        x, y = map(torch.cat, zip(*group, strict=True))
        F.mse_loss(twin(x), y).backward()
        opt.step()
        opt.zero_grad()
    quiet_fit(learn, 2)
    assert torch.allclose(learn.model.weight, twin.weight, atol=1e-6)


def test_accumulate_can_be_set_later_and_wrong_numbers_are_refused():
    learn = make_learner()
    learn.accumulate = 3
    assert learn.accumulate == 3
    with pytest.raises(ValueError, match="accumulate is the number of batches that make one step"):
        learn.accumulate = 0


def test_channels_last_computes_the_same_numbers():
    def trained(**options):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
        data = [(torch.randn(3, 6, 6), torch.tensor(i % 2)) for i in range(16)]
        dls = DataLoaders(DataLoader(data, 8), DataLoader(data, 8), device="cpu")
        learn = Learner(dls, model, F.cross_entropy, SGD, **options)
        quiet_fit(learn, 2, 0.1)
        return learn

    plain, last = trained(), trained(channels_last=True)
    kernel = last.model[0].weight
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(kernel, plain.model[0].weight, rtol=1e-4, atol=1e-5)
    last.channels_last = False
    quiet_fit(last, 1, 0.1)
    assert last.model[0].weight.is_contiguous()


def test_weights_of_classes_go_where_the_batches_are():
    moved = []

    class Elsewhere(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("weight", torch.ones(3, device="meta"))

        def forward(self, pred, targ):
            return F.mse_loss(pred, targ)

        def to(self, device):
            moved.append(device)
            self.weight = torch.ones(3)
            return self

    learn = make_learner(loss_func=Elsewhere())
    quiet_fit(learn, 1)
    quiet_fit(learn, 1)
    assert moved == [torch.device("cpu")]


def test_a_cancelled_step_keeps_the_gradients():
    class Every(Callback):
        def before_step(self, learn):
            learn.pairs = getattr(learn, "pairs", 0) + 1
            if learn.pairs % 2:
                raise CancelStep

    learn = make_learner(cbs=Every())
    twin = nn.Linear(3, 1)
    twin.load_state_dict(learn.model.state_dict())
    quiet_fit(learn, 1)
    opt = torch.optim.SGD(twin.parameters(), 0.1)
    for i, (x, y) in enumerate(learn.dls.train):
        F.mse_loss(twin(x), y).backward()
        if i % 2:
            opt.step()
            opt.zero_grad()
    assert torch.allclose(learn.model.weight, twin.weight)


def test_callbacks_are_added_and_removed_by_object_and_by_class():
    learn = make_learner()
    log = Log()
    learn.add_cb(log).add_cb(Log)
    assert len([cb for cb in learn.cbs if isinstance(cb, Log)]) == 2
    learn.remove_cb(log)
    assert log not in list(learn.cbs)
    learn.remove_cb(Log)
    assert not [cb for cb in learn.cbs if isinstance(cb, Log)]
    with learn.added_cbs(Log()):
        assert any(isinstance(cb, Log) for cb in learn.cbs)
    assert not any(isinstance(cb, Log) for cb in learn.cbs)


def test_the_optimizer_is_made_when_it_is_needed():
    learn = make_learner()
    assert learn.opt is None
    quiet_fit(learn, 1)
    first = learn.opt
    quiet_fit(learn, 1)
    assert learn.opt is first
    quiet_fit(learn, 1, reset_opt=True)
    assert learn.opt is not first


def test_any_torch_optimizer_serves():
    for opt_func in (torch.optim.AdamW, lambda p, lr: OptimWrapper(p, torch.optim.Adagrad, lr=lr)):
        learn = make_learner(opt_func=opt_func)
        quiet_fit(learn, 2, 0.01)
        assert len(learn.recorder.values) == 2


@pytest.mark.parametrize("rate", [0.1, slice(0.1), slice(0.001, 0.1), slice(None, 0.1)])
def test_rates_are_given_to_layer_groups(rate):
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 1))
    groups = lambda m: [list(layer.parameters()) for layer in m]  # noqa: E731
    learn = make_learner(model, splitter=groups)
    rates = learn.rates(rate)
    assert rates[-1] == pytest.approx(0.1)
    expected = {
        0.1: [0.1] * 3,
        "slice(None, 0.1, None)": [0.01, 0.01, 0.1],
        "slice(0.001, 0.1, None)": [0.001, 0.01, 0.1],
    }[rate if rate == 0.1 else str(rate)]
    assert np.allclose(rates, expected)


def test_one_cycle_records_rate_and_momentum_of_every_step():
    learn = make_learner(opt_func=lambda p, lr: SGD(p, lr, mom=0.9))
    with learn.no_logging():
        learn.fit_one_cycle(4, 0.1)
    lrs, moms = learn.recorder.hps["lr"], learn.recorder.hps["mom"]
    assert len(lrs) == len(moms) == len(learn.recorder.losses) == 20
    assert lrs[0] == pytest.approx(0.1 / 25)
    assert max(lrs) == pytest.approx(0.1)
    assert lrs.index(max(lrs)) == 5
    assert lrs[-1] < 0.002
    assert (moms[0], min(moms)) == (0.95, pytest.approx(0.85))
    assert learn.recorder.lrs == lrs


def test_the_shown_train_loss_is_a_debiased_running_average():
    learn = make_learner()
    losses = []

    class Keep(Callback):
        run_valid = False

        def after_loss(self, learn):
            losses.append(learn.loss.item())

    quiet_fit(learn, 1, cbs=Keep())
    value = 0.0
    for loss in losses:
        value = 0.98 * value + 0.02 * loss
    assert learn.recorder.values[-1][0] == pytest.approx(
        value / (1 - 0.98 ** len(losses)), rel=1e-5
    )


def test_lr_find_leaves_no_trace():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.1), nn.Linear(4, 1))
    learn = make_learner(model, opt_func=lambda p, lr: SGD(p, lr, mom=0.9))
    quiet_fit(learn, 1)
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    state = [v["momentum_buffer"].clone() for v in learn.opt.state.values()]
    rows, rng = list(learn.recorder.values), torch.get_rng_state()
    epoch = learn.dls.train.epoch
    pair = learn.lr_find(show_plot=False)
    assert len(pair) == 2 and repr(pair).startswith("(")
    assert (pair.minimum, pair.steep) == tuple(pair)
    assert all(torch.equal(before[k], v) for k, v in learn.model.state_dict().items())
    after = [v["momentum_buffer"] for v in learn.opt.state.values()]
    assert all(torch.equal(a, b) for a, b in zip(state, after, strict=True))
    assert list(learn.recorder.values) == rows
    assert torch.equal(torch.get_rng_state(), rng)
    assert learn.dls.train.epoch == epoch
    assert learn.model.training is False


def test_lr_find_on_an_empty_loader_says_so():
    learn = Learner(DataLoaders([], [], device="cpu"), nn.Linear(3, 1), loss_func=F.mse_loss)
    with pytest.raises(TrainingError, match="lr_find needs batches to train on"):
        learn.lr_find()


def test_plots_before_a_fit_say_what_to_do():
    learn = make_learner()
    with pytest.raises(TrainingError, match="this learner has not trained yet. Call fit"):
        learn.recorder.plot_loss()
    with pytest.raises(TrainingError, match="the last fit followed no schedule"):
        learn.recorder.plot_sched()


def test_momentum_is_left_alone_where_there_is_none():
    learn = make_learner()
    with learn.no_logging():
        learn.fit_one_cycle(1, 0.1)
    assert list(learn.recorder.hps) == ["lr"]
    assert learn.opt.param_groups[0]["momentum"] == 0


def test_plots_draw_what_was_recorded():
    learn = make_learner(opt_func=lambda p, lr: SGD(p, lr, mom=0.9))
    with learn.no_logging():
        learn.fit_one_cycle(3, 0.1)
    axes = learn.recorder.plot_loss()
    assert [line.get_label() for line in axes.lines] == ["train", "valid"]
    assert len(axes.lines[0].get_ydata()) == 10
    assert axes.lines[1].get_xdata().tolist() == [9, 14]
    assert len(learn.recorder.plot_sched().axes) == 2


def test_the_loss_must_come_from_somewhere():
    with pytest.raises(DataError, match="does not say what its targets are"):
        Learner(make_dls(), nn.Linear(3, 1))


def test_targets_that_do_not_fit_the_loss_are_shown_beside_the_predictions():
    learn = make_learner(nn.Linear(3, 5), loss_func=F.cross_entropy)
    with pytest.raises(TrainingError, match=r"outputs \[8, 5\] float32, targets \[8, 1\] float32"):
        quiet_fit(learn, 1)


def test_fine_tune_needs_groups():
    with pytest.raises(ValueError, match="there is nothing to freeze. Use vision_learner"):
        make_learner().fine_tune(1)


def test_a_model_on_another_device_is_named():
    learn = make_learner(nn.Linear(3, 1, device="meta"))
    with pytest.raises(TrainingError, match="The model is on meta, but the data comes on cpu"):
        learn.fit(1)


def test_any_iterable_of_batches_is_data():
    class Batches:
        def __init__(self, batches):
            self.batches = batches

        def __iter__(self):
            return iter(self.batches)

        def __len__(self):
            return len(self.batches)

    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(5)]
    torch_dl = torch.utils.data.DataLoader(pairs(20), batch_size=4)
    for train, valid in (
        (Batches(batches), Batches(batches[:2])),
        (batches, batches),
        (torch_dl, torch_dl),
    ):
        learn = Learner(DataLoaders(train, valid), nn.Linear(3, 1), loss_func=F.mse_loss)
        quiet_fit(learn, 1)
        assert len(learn.recorder.losses) == 5


def test_get_preds_restores_the_order_of_a_shuffling_loader():
    data = pairs(21)
    shuffling = DataLoader(data, 4, shuffle=True, drop_last=True)
    learn = make_learner()
    inputs, preds, targets, losses = learn.get_preds(dl=shuffling, with_input=True, with_loss=True)
    assert torch.equal(inputs, torch.stack([x for x, _ in data]))
    assert torch.equal(targets, torch.stack([y for _, y in data]))
    assert torch.allclose(losses, ((preds - targets) ** 2).mean(1))


def test_get_preds_takes_a_list_of_batches_and_applies_the_activation():
    learn = make_learner(nn.Linear(3, 4), loss_func=F.cross_entropy)
    x = torch.randn(6, 3)
    preds, targets = learn.get_preds(dl=[(x, torch.zeros(6, dtype=torch.long))])
    assert torch.allclose(preds.sum(1), torch.ones(6))
    assert targets.tolist() == [0] * 6
    raw = learn.get_preds(dl=[(x, torch.zeros(6, dtype=torch.long))], act=lambda p: p)[0]
    assert torch.allclose(raw.softmax(1), preds)


def test_preds_of_data_without_targets_come_with_none():
    learn = make_learner()
    preds, targets = learn.get_preds(dl=[(torch.randn(6, 3),)])
    assert preds.shape == (6, 1) and targets is None


def test_validation_runs_extra_callbacks():
    log = Log()
    make_learner().validate(cbs=log)
    assert log.events == ["after_create", "before_validate", *VALID * 3, "after_validate"]


def test_save_and_load_bring_weights_and_optimizer_back(tmp_path):
    learn = make_learner(path=tmp_path, opt_func=lambda p, lr: SGD(p, lr, mom=0.9))
    quiet_fit(learn, 1)
    file = learn.save("first")
    assert file == tmp_path / "models" / "first.safetensors"
    weight = learn.model.weight.clone()
    momentum = [v["momentum_buffer"].clone() for v in learn.opt.state.values()]
    quiet_fit(learn, 1)
    learn.load("first")
    assert torch.equal(learn.model.weight, weight)
    again = [v["momentum_buffer"] for v in learn.opt.state.values()]
    assert all(torch.equal(a, b) for a, b in zip(momentum, again, strict=True))


def test_loading_what_is_not_there_names_what_is(tmp_path):
    learn = make_learner(path=tmp_path)
    learn.save("best")
    with pytest.raises(FileNotFoundError, match="Did you mean `best.safetensors`"):
        learn.load("bast")


def test_bf16_trains_and_keeps_float_weights():
    learn = make_learner().to_bf16()
    quiet_fit(learn, 2)
    assert learn.model.weight.dtype == torch.float32
    assert learn.recorder.values[-1][0] < learn.recorder.losses[0]
    assert learn.to_fp32().precision.kind == "fp32"


def test_the_table_is_printed_line_by_line(capsys):
    learn = make_learner(metrics=accuracy)
    learn.remove_cb(ProgressCallback)
    learn.add_cb(ProgressCallback())
    learn.metrics.clear()
    learn.fit(2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["epoch", "train_loss", "valid_loss", "time"]
    assert [line.split()[0] for line in lines[1:]] == ["0", "1"]
    assert lines[1].split()[-1] == "00:00"


def test_without_a_bar_rows_are_printed_as_lists(capsys):
    learn = make_learner()
    with learn.no_bar():
        learn.fit(1)
    assert capsys.readouterr().out.startswith("[0, ")


def test_start_epoch_skips_epochs_and_goes_on_in_the_schedule():
    learn = make_learner()
    with learn.no_logging():
        learn.fit_one_cycle(4, 0.1, start_epoch=2)
    assert len(learn.recorder.values) == 2
    assert learn.recorder.hps["lr"][0] < 0.1


def test_an_interrupted_fit_leaves_a_learner_that_works(capsys):
    class Interrupt(Callback):
        def after_loss(self, learn):
            if learn.training and learn.iter == 2:
                raise KeyboardInterrupt

    learn = make_learner()
    before = [type(cb) for cb in learn.cbs]
    for method in (learn.fit, learn.fit_one_cycle, learn.lr_find):
        with pytest.raises(KeyboardInterrupt), learn.added_cbs(Interrupt()):
            method(1)
        assert [type(cb) for cb in learn.cbs] == before
        assert learn.logger is print
        assert (learn.xb, learn.pred) == ((), None)
    quiet_fit(learn, 1)
    assert len(learn.recorder.values) == 1
    assert learn.validate()[0] == pytest.approx(learn.recorder.values[-1][1])


def test_an_empty_training_loader_is_told():
    learn = Learner(DataLoaders([], [], device="cpu"), nn.Linear(3, 1), loss_func=F.mse_loss)
    with pytest.raises(TrainingError, match="the training loader is empty"):
        quiet_fit(learn, 1)


@pytest.mark.parametrize("train_bn", [True, False])
def test_frozen_groups_train_their_norms_unless_told_not_to(train_bn):
    body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    model = nn.Sequential(body, nn.Linear(4, 1))
    groups = lambda m: [list(layer.parameters()) for layer in m]  # noqa: E731
    learn = make_learner(model, splitter=groups, train_bn=train_bn)
    learn.freeze()
    linear, norm = body[0].weight.clone(), body[1].weight.clone()
    quiet_fit(learn, 1)
    assert torch.equal(body[0].weight, linear)
    assert torch.equal(body[1].weight, norm) != train_bn
    learn.freeze_to(-2)
    quiet_fit(learn, 1)
    assert not torch.equal(body[0].weight, linear)


def test_the_loss_is_looked_at_when_the_learner_is_made():
    with pytest.raises(TypeError, match=r"loss_func=MSELoss\(\)"):
        make_learner(loss_func=nn.MSELoss)


def test_the_mode_of_the_model_follows_the_phase():
    class Modes(Callback):
        def before_batch(self, learn):
            seen.add((learn.training, learn.model.training))

    seen = set()
    learn = make_learner(cbs=Modes())
    quiet_fit(learn, 2)
    assert seen == {(True, True), (False, False)}


def test_a_cancelled_batch_counts_for_nothing():
    class Skip(Callback):
        order = 2000

        def before_batch(self, learn):
            if learn.iter % 2:
                raise CancelBatch

    learn = make_learner(cbs=Skip())
    quiet_fit(learn, 1)
    assert len(learn.recorder.losses) == len(learn.recorder.lrs) == 3
    x, y = (torch.cat(part) for part in zip(*list(learn.dls.valid)[::2], strict=True))
    expected = F.mse_loss(learn.model(x), y).item()
    assert learn.recorder.values[-1][1] == pytest.approx(expected, rel=1e-5)


def test_one_cycle_ends_at_a_hundred_thousandth():
    learn = make_learner()
    asked = []

    class Ask(Callback):
        def before_fit(self, learn):
            (scheduler,) = (cb for cb in learn.cbs if isinstance(cb, ParamScheduler))
            asked.append(float(scheduler.scheds["lr"](1.0)[-1]))

    with learn.no_logging():
        learn.fit_one_cycle(1, 0.1, cbs=Ask())
    assert asked == [pytest.approx(0.1 / 1e5)]
