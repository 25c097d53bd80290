"""Ways to train: recipes with their schedules, freezing, the rate finder: learner's methods."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from presize.callbacks.base import Callback
from presize.callbacks.budget import TimeBudget
from presize.callbacks.lr_finder import LRFinder, minimum, no_trace, steep, suggested
from presize.callbacks.pass_bar import steps_bar
from presize.callbacks.recorder_plots import RateSearch
from presize.callbacks.schedule import ParamScheduler, Schedule
from presize.core.collections import L
from presize.core.errors import TrainingError
from presize.models.groups import freeze_to as set_frozen
from presize.models.groups import require_groups
from presize.train.duration import Duration, TimeLeft
from presize.train.rates import LearningRate
from presize.train.schedules import flat_cos, one_cycle, sgdr, sgdr_epochs

if TYPE_CHECKING:
    from presize.learner import Learner


def fit_one_cycle(
    learn: "Learner",
    n_epoch: int,
    lr_max: LearningRate | None = None,
    *,
    div: float = 25.0,
    div_final: float = 1e5,
    pct_start: float = 0.25,
    wd: float | None = None,
    moms: tuple[float, float, float] | None = None,
    cbs: Callback | Iterable[Callback] | None = None,
    reset_opt: bool = False,
    start_epoch: int = 0,
    max_time: Duration | None = None,
) -> None:
    """Train with the one-cycle policy: the rate rises to `lr_max`, then falls to almost 0.

    Smith and Topin, "Super-Convergence", 2018.

    Args:
        n_epoch: how many passes over the training set.
        lr_max: the highest rate; a number, a slice, or one per layer group, as in `fit`.
        div: the first rate is lr_max / div.
        div_final: the last rate is lr_max / div_final.
        pct_start: the share of the training in which the rate rises.
        wd: weight decay of this fit.
        moms: momenta at the start, at the highest rate, at the end.
        cbs: callbacks for this fit only.
        reset_opt: begin with a new optimizer.
        start_epoch: the epoch to begin with; those before count as done.
        max_time: see `fit`.
    """
    schedules: dict[str, Schedule] = one_cycle(
        learn.rates(lr_max),
        div=div,
        div_final=div_final,
        pct_start=pct_start,
        moms=moms or learn.moms,
    )
    callbacks = [ParamScheduler(schedules), *L(cbs)]
    learn.fit(
        n_epoch,
        lr_max,
        wd,
        callbacks,
        reset_opt=reset_opt,
        start_epoch=start_epoch,
        max_time=max_time,
    )


def fit_flat_cos(
    learn: "Learner",
    n_epoch: int,
    lr: LearningRate | None = None,
    *,
    div_final: float = 1e5,
    pct_start: float = 0.75,
    wd: float | None = None,
    cbs: Callback | Iterable[Callback] | None = None,
    reset_opt: bool = False,
    start_epoch: int = 0,
    max_time: Duration | None = None,
) -> None:
    """Train with one rate for most of the time, then let it fall to almost 0 on a cosine.

    Args:
        n_epoch: how many passes over the training set.
        lr: the rate; a number, a slice, or one per layer group, as in `fit`.
        div_final: the last rate is lr / div_final.
        pct_start: the share of the training in which the rate stays.
        wd: weight decay of this fit.
        cbs: callbacks for this fit only.
        reset_opt: begin with a new optimizer.
        start_epoch: the epoch to begin with; those before count as done.
        max_time: see `fit`.
    """
    schedules: dict[str, Schedule] = flat_cos(
        learn.rates(lr), div_final=div_final, pct_start=pct_start
    )
    callbacks = [ParamScheduler(schedules), *L(cbs)]
    learn.fit(
        n_epoch,
        lr,
        wd,
        callbacks,
        reset_opt=reset_opt,
        start_epoch=start_epoch,
        max_time=max_time,
    )


def fit_sgdr(
    learn: "Learner",
    n_cycles: int,
    cycle_len: int,
    lr_max: LearningRate | None = None,
    cycle_mult: int = 2,
    *,
    wd: float | None = None,
    cbs: Callback | Iterable[Callback] | None = None,
    reset_opt: bool = False,
    start_epoch: int = 0,
    max_time: Duration | None = None,
) -> None:
    """Train with warm restarts: cosines from `lr_max` to 0, each longer than the one before.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017.

    Args:
        n_cycles: how many cosines.
        cycle_len: epochs of the first one.
        lr_max: the rate at each restart; a number, a slice, or one per layer group, as in `fit`.
        cycle_mult: each cosine takes so many times as many epochs as the one before.
        wd: weight decay of this fit.
        cbs: callbacks for this fit only.
        reset_opt: begin with a new optimizer.
        start_epoch: the epoch to begin with, counted over all cycles; those before count as done.
        max_time: see `fit`; all cycles get shorter alike.

    Raises:
        ValueError: fewer than one cycle, epoch or multiple.
    """
    schedules: dict[str, Schedule] = sgdr(learn.rates(lr_max), n_cycles, cycle_len, cycle_mult)
    callbacks = [ParamScheduler(schedules), *L(cbs)]
    learn.fit(
        sgdr_epochs(n_cycles, cycle_len, cycle_mult),
        lr_max,
        wd,
        callbacks,
        reset_opt=reset_opt,
        start_epoch=start_epoch,
        max_time=max_time,
    )


def fine_tune(
    learn: "Learner",
    epochs: int,
    base_lr: LearningRate = 2e-3,
    freeze_epochs: int = 1,
    *,
    lr_mult: float = 100,
    pct_start: float = 0.3,
    div: float = 5.0,
    div_final: float = 1e5,
    wd: float | None = None,
    moms: tuple[float, float, float] | None = None,
    cbs: Callback | Iterable[Callback] | None = None,
    reset_opt: bool = False,
    start_epoch: int = 0,
    max_time: Duration | None = None,
) -> None:
    """Adapt a pretrained model: first its new head alone, then all of it.

    Args:
        epochs: passes over the training set with all layers.
        base_lr: the highest rate of the head while the rest is frozen; then half of it. With
            slice(first, last), or one rate per layer group, the head has the last one, and then
            all have half of theirs; slice(last) is the same as `last`.
        freeze_epochs: passes with all but the head frozen.
        lr_mult: the first layer group gets a rate so many times lower than the head.
        pct_start: see `fit_one_cycle`; for the part with all layers.
        div: see `fit_one_cycle`; for the part with all layers.
        div_final: see `fit_one_cycle`.
        wd: weight decay.
        moms: see `fit_one_cycle`.
        cbs: callbacks for both parts.
        reset_opt: begin with a new optimizer.
        start_epoch: the epoch to begin with, counted over both parts; those before count as done.
        max_time: see `fit`. The first part takes its share of the epochs, or less; the second
            the rest.

    Raises:
        ValueError: the model has only one layer group, so that nothing can be frozen.
    """
    head_rate, rates = _fine_tune_rates(learn, base_lr, lr_mult)
    limit = TimeLeft(max_time)
    first: list[TimeBudget] = []  # made here, to be asked when the first part is over
    learn.freeze()
    if start_epoch < freeze_epochs:
        share = limit.share(freeze_epochs, epochs)
        first = [] if share is None else [TimeBudget(share)]
        learn.fit_one_cycle(
            freeze_epochs,
            slice(head_rate),
            div_final=div_final,
            pct_start=0.99,
            wd=wd,
            moms=moms,
            cbs=[*first, *L(cbs)],
            reset_opt=reset_opt,
            start_epoch=start_epoch,
        )
    learn.unfreeze()
    learn.fit_one_cycle(
        epochs,
        rates,
        div=div,
        div_final=div_final,
        pct_start=pct_start,
        wd=wd,
        moms=moms,
        cbs=cbs,
        reset_opt=reset_opt and start_epoch >= freeze_epochs,
        start_epoch=max(start_epoch - freeze_epochs, 0),
        max_time=limit.left(sum(budget.earlier for budget in first)),
    )


def _fine_tune_rates(
    learn: "Learner", base_lr: LearningRate, lr_mult: float
) -> tuple[float, LearningRate]:
    """Return the rate of the head alone, and the rates of all layers."""
    if isinstance(base_lr, slice) and base_lr.start is None and base_lr.step is None:
        base_lr = base_lr.stop
    if isinstance(base_lr, int | float) and not isinstance(base_lr, bool):
        half = base_lr / 2
        return float(base_lr), slice(half / lr_mult, half)
    rates = learn.rates(base_lr)
    return float(rates[-1]), rates / 2


def lr_find(
    learn: "Learner",
    start_lr: float = 1e-7,
    end_lr: float = 10,
    num_it: int = 100,
    *,
    stop_div: bool = True,
    show_plot: bool = True,
    suggest_funcs: Any = (minimum, steep),
) -> Any:
    """Train with growing rates, suggest good ones, and leave everything as it was.

    Args:
        start_lr: the first rate.
        end_lr: the last rate.
        num_it: how many batches to train.
        stop_div: stop when the loss diverges.
        show_plot: draw the loss against the rate.
        suggest_funcs: what suggests: `minimum`, `steep`, `valley`, `slide`, one or several.

    Returns:
        The suggested rates, a named tuple in the order of `suggest_funcs`.

    Raises:
        TrainingError: the training loader is empty, or no loss was finite.
    """
    n_batches = len(learn.dls.train)
    if n_batches == 0:
        raise TrainingError(
            "lr_find needs batches to train on, but the training loader is empty. Check the "
            "items and the splitter, or a batch size larger than the data with drop_last."
        )
    finder = LRFinder(start_lr, end_lr, num_it, stop_div)
    shown = steps_bar(learn, "looking for a rate", num_it)
    with shown as cbs, no_trace(learn), learn.no_logging():
        learn.fit(-(-num_it // n_batches), cbs=[finder, *cbs])
    lrs, losses, functions = finder.lrs, finder.losses, L(suggest_funcs)
    suggestions, points = suggested(lrs, losses, num_it, functions) if functions else (None, [])
    learn.recorder.rate_search = RateSearch(lrs, losses, suggestions, points)
    if show_plot and learn.ranks.is_main:
        learn.recorder.plot_lr_find()
    return suggestions


def freeze_to(learn: "Learner", n: int) -> None:
    """Train only the layer groups from `n` on; negative counts from the end.

    Norm layers of frozen groups go on training, unless the learner has train_bn=False. The
    optimizer forgets its averages, which belong to another set of weights.
    """
    groups = learn.groups()
    if n:
        require_groups(groups, "freeze")
    set_frozen(learn.model, groups, n, train_bn=learn.train_bn)
    if learn.opt is not None:
        learn.opt.state.clear()


def freeze(learn: "Learner") -> None:
    """Train only the last layer group, the head."""
    learn.freeze_to(-1)


def unfreeze(learn: "Learner") -> None:
    """Train all layer groups."""
    learn.freeze_to(0)
