"""Callbacks: objects that watch and adjust training at named moments.

The learner calls each event by name, in the order of the methods below. A callback overrides
those that it needs; it reads and writes the learner that it is given:

    class ClipTargets(Callback):
        def before_batch(self, learn):
            learn.yb = tuple(y.clamp(0, 1) for y in learn.yb)

Raising one of the `Cancel…` exceptions in an event ends the batch, the phase, the epoch or the
whole fit early; the matching `after_cancel_…` runs, then the matching `after_…`.
"""

import inspect
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from presize.core.errors import did_you_mean

if TYPE_CHECKING:
    from presize.learner import Learner


class CancelStep(Exception):
    """Raise it before the step to keep the gradients and skip the optimizer for this batch."""


class CancelBatch(Exception):
    """Raise it to end this batch."""


class CancelTrain(Exception):
    """Raise it to end the training part of this epoch."""


class CancelValidate(Exception):
    """Raise it to end the validation part of this epoch."""


class CancelEpoch(Exception):
    """Raise it to end this epoch."""


class CancelFit(Exception):
    """Raise it to end the whole fit; in `after_epoch`, when all callbacks have seen the epoch."""


class Callback:
    """One no-op method per event of training; override those that are needed.

    `order` says when it runs among the others (lower first); `run_valid = False` keeps it out of
    the batches of validation, `run_train = False` out of those of training.
    """

    order: float = 0
    run_train: bool = True
    run_valid: bool = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name, member in vars(cls).items():
            if inspect.isfunction(member):
                _check_event(cls.__name__, name, member)

    @property
    def name(self) -> str:
        """The class name in snake case, without a trailing "callback"."""
        words = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(self).__name__)
        return words.lstrip("_").removesuffix("_callback")

    def after_create(self, learn: "Learner") -> None:
        """The learner exists, or the callback was just added to it."""

    def before_fit(self, learn: "Learner") -> None:
        """A fit begins; the optimizer exists, the model is on its device."""

    def before_epoch(self, learn: "Learner") -> None:
        """An epoch begins."""

    def before_train(self, learn: "Learner") -> None:
        """The training part of an epoch begins; the model is in training mode."""

    def before_batch(self, learn: "Learner") -> None:
        """A batch is there: `learn.xb` and `learn.yb` can be read and replaced."""

    def after_pred(self, learn: "Learner") -> None:
        """The model has answered: `learn.pred`; once for each part of a batch in several parts."""

    def after_loss(self, learn: "Learner") -> None:
        """The loss is computed: `learn.loss`; once for each part of a batch in several parts."""

    def before_backward(self, learn: "Learner") -> None:
        """Gradients are about to be computed (training only); once for each part."""

    def after_backward(self, learn: "Learner") -> None:
        """The gradients of this batch are added; where none accumulate they are what steps."""

    def before_step(self, learn: "Learner") -> None:
        """The optimizer is about to step; gradients are complete and in true scale."""

    def after_cancel_step(self, learn: "Learner") -> None:
        """The step was cancelled; gradients stay and add up."""

    def after_step(self, learn: "Learner") -> None:
        """The optimizer has stepped; gradients are still there."""

    def after_cancel_batch(self, learn: "Learner") -> None:
        """The batch was cancelled; `after_batch` follows."""

    def after_batch(self, learn: "Learner") -> None:
        """The batch is done, whether it was cancelled or not."""

    def after_cancel_train(self, learn: "Learner") -> None:
        """The training part was cancelled; `after_train` follows."""

    def after_train(self, learn: "Learner") -> None:
        """The training part of the epoch is done."""

    def before_validate(self, learn: "Learner") -> None:
        """The validation part begins; the model is in evaluation mode, no gradients are kept."""

    def after_cancel_validate(self, learn: "Learner") -> None:
        """The validation part was cancelled; `after_validate` follows."""

    def after_validate(self, learn: "Learner") -> None:
        """The validation part of the epoch is done."""

    def after_cancel_epoch(self, learn: "Learner") -> None:
        """The epoch was cancelled; `after_epoch` follows."""

    def after_epoch(self, learn: "Learner") -> None:
        """The epoch is done."""

    def after_cancel_fit(self, learn: "Learner") -> None:
        """The fit was cancelled; `after_fit` follows."""

    def after_fit(self, learn: "Learner") -> None:
        """The fit is done, also after a cancel or an error; none is left out, to clean up."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs of it: JSON values, tensors, dicts and lists of them.

        A callback that depends on what happened before overrides this and `load_state_dict`.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned; called after `before_fit`."""

    def __repr__(self) -> str:
        return type(self).__name__


EVENTS: tuple[str, ...] = tuple(
    name
    for name, member in vars(Callback).items()
    if inspect.isfunction(member) and name.startswith(("before_", "after_"))
)


_EVENTS = frozenset(EVENTS)


def _overridden(kind: type[Callback]) -> set[str]:
    """Return the events that a class does something at.

    Asked of what its classes define, 5 us for a learner's list; of each event by itself it took 37,
    and the list changes six times in every `predict`.
    """
    found: set[str] = set()
    for owner in kind.__mro__[: kind.__mro__.index(Callback)]:
        found |= _EVENTS & vars(owner).keys()
    return found


def _check_event(owner: str, name: str, method: Any) -> None:
    """Refuse a misspelt event, which would never run, and one that does not take the learner."""
    if not name.startswith(("before_", "after_")):
        return
    if name not in EVENTS:
        raise TypeError(
            f"`{owner}.{name}` is not a training event and would never run."
            f"{did_you_mean(name, EVENTS, n=1)} The events are: {', '.join(EVENTS)}."
        )
    parameters = list(inspect.signature(method).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 2 and not any(p.kind == p.VAR_POSITIONAL for p in parameters):
        raise TypeError(
            f"`{owner}.{name}(self)` does not take the learner. Write "
            f"`def {name}(self, learn):` and use `learn.model`, `learn.loss` … where the callback "
            "used `self.model`, `self.loss`."
        )


class Callbacks(Callback):
    """Several callbacks as one: forwards every event, in `order`, to those that override it.

    Which ones override an event is looked up when the list changes, not at each batch.

    Attributes:
        ending: whether a callback has ended the fit in this `after_epoch`, which the others see.
    """

    def __init__(self, callbacks: Iterable[Callback] = ()) -> None:
        self.ending = False
        self._all: list[Callback] = []
        self._by_event: dict[str, list[Callback]] = {}
        self.replace(callbacks)

    def replace(self, callbacks: Iterable[Callback]) -> None:
        """Hold these callbacks instead; the order of equals is kept.

        Raises:
            TypeError: something else is among them.
        """
        given: list[Any] = list(callbacks)
        for cb in given:
            if not isinstance(cb, Callback):
                raise TypeError(
                    f"cbs= takes callbacks, objects or classes, but got {cb!r}. A function that "
                    "measures goes to metrics=; one that is to run in training goes into a class, "
                    "`class Mine(Callback):` with a method such as `def after_batch(self, learn):`."
                )
        self._all = sorted(given, key=lambda cb: cb.order)
        self._by_event = {event: [] for event in EVENTS}
        for cb in self._all:
            for event in _overridden(type(cb)):
                self._by_event[event].append(cb)

    def __iter__(self) -> Iterator[Callback]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, i: int) -> Callback:
        return self._all[i]

    def __repr__(self) -> str:
        return f"(#{len(self._all)}) [{','.join(map(repr, self._all))}]"

    def after_create(self, learn: "Learner") -> None:
        for cb in self._by_event["after_create"]:
            cb.after_create(learn)

    def before_fit(self, learn: "Learner") -> None:
        for cb in self._by_event["before_fit"]:
            cb.before_fit(learn)

    def before_epoch(self, learn: "Learner") -> None:
        for cb in self._by_event["before_epoch"]:
            cb.before_epoch(learn)

    def before_train(self, learn: "Learner") -> None:
        for cb in self._by_event["before_train"]:
            cb.before_train(learn)

    def before_batch(self, learn: "Learner") -> None:
        for cb in self._by_event["before_batch"]:
            if cb.run_train if learn.training else cb.run_valid:
                cb.before_batch(learn)

    def after_pred(self, learn: "Learner") -> None:
        for cb in self._by_event["after_pred"]:
            if cb.run_train if learn.training else cb.run_valid:
                cb.after_pred(learn)

    def after_loss(self, learn: "Learner") -> None:
        for cb in self._by_event["after_loss"]:
            if cb.run_train if learn.training else cb.run_valid:
                cb.after_loss(learn)

    def before_backward(self, learn: "Learner") -> None:
        for cb in self._by_event["before_backward"]:
            if cb.run_train if learn.training else cb.run_valid:
                cb.before_backward(learn)

    def after_backward(self, learn: "Learner") -> None:
        for cb in self._by_event["after_backward"]:
            if cb.run_train if learn.training else cb.run_valid:
                cb.after_backward(learn)

    def before_step(self, learn: "Learner") -> None:
        for cb in self._by_event["before_step"]:
            if cb.run_train if learn.training else cb.run_valid:
                cb.before_step(learn)

    def after_cancel_step(self, learn: "Learner") -> None:
        for cb in self._by_event["after_cancel_step"]:
            if cb.run_train if learn.training else cb.run_valid:
                cb.after_cancel_step(learn)

    def after_step(self, learn: "Learner") -> None:
        for cb in self._by_event["after_step"]:
            if cb.run_train if learn.training else cb.run_valid:
                cb.after_step(learn)

    def after_cancel_batch(self, learn: "Learner") -> None:
        for cb in self._by_event["after_cancel_batch"]:
            if cb.run_train if learn.training else cb.run_valid:
                cb.after_cancel_batch(learn)

    def after_batch(self, learn: "Learner") -> None:
        for cb in self._by_event["after_batch"]:
            if cb.run_train if learn.training else cb.run_valid:
                cb.after_batch(learn)

    def before_validate(self, learn: "Learner") -> None:
        for cb in self._by_event["before_validate"]:
            cb.before_validate(learn)

    def after_cancel_validate(self, learn: "Learner") -> None:
        for cb in self._by_event["after_cancel_validate"]:
            cb.after_cancel_validate(learn)

    def after_validate(self, learn: "Learner") -> None:
        for cb in self._by_event["after_validate"]:
            cb.after_validate(learn)

    def after_cancel_train(self, learn: "Learner") -> None:
        for cb in self._by_event["after_cancel_train"]:
            cb.after_cancel_train(learn)

    def after_train(self, learn: "Learner") -> None:
        for cb in self._by_event["after_train"]:
            cb.after_train(learn)

    def after_cancel_epoch(self, learn: "Learner") -> None:
        for cb in self._by_event["after_cancel_epoch"]:
            cb.after_cancel_epoch(learn)

    def after_epoch(self, learn: "Learner") -> None:
        """Let all see the epoch, also where one of them ends the fit with it."""
        before, cancel = self.ending, None
        self.ending = False
        try:
            for cb in self._by_event["after_epoch"]:
                try:
                    cb.after_epoch(learn)
                except CancelFit as error:
                    cancel, self.ending = cancel or error, True
        finally:
            self.ending = before  # not False: a callback may look for a rate in `after_epoch`
        if cancel is not None:
            raise cancel

    def after_cancel_fit(self, learn: "Learner") -> None:
        for cb in self._by_event["after_cancel_fit"]:
            cb.after_cancel_fit(learn)

    def after_fit(self, learn: "Learner") -> None:
        """Let all clean up, also where one of them fails; raise the first error afterwards."""
        first: BaseException | None = None
        for cb in self._by_event["after_fit"]:
            try:
                cb.after_fit(learn)
            except BaseException as error:
                if first is None:
                    first = error
                else:
                    first.add_note(f"Then {cb!r}.after_fit failed: {error!r}")
        if first is not None:
            raise first


CancelStepException = CancelStep
CancelBatchException = CancelBatch
CancelTrainException = CancelTrain
CancelValidException = CancelValidate
CancelEpochException = CancelEpoch
CancelFitException = CancelFit
