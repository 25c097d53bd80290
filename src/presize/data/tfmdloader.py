"""`TfmdDL`: a loader whose batches can be decoded and shown."""

from collections.abc import Sequence
from typing import Any, Self, Unpack, overload

from torch import Tensor

from presize.core.collections import L
from presize.core.device import to_cpu
from presize.core.errors import ImageError
from presize.core.pipeline import Pipeline
from presize.core.transform import ItemTransform, Transform
from presize.data.datasets import Datasets
from presize.data.loader import DataLoader
from presize.data.options import FurtherOptions, LoaderOptions, TfmdOptions, Tfms
from presize.data.rows import Rows
from presize.data.showing import (
    FigSize,
    how_many,
    samples_of,
    show_each,
    show_outcomes,
    show_values,
)
from presize.show.grids import Grid


class TfmdDL(DataLoader):
    """A `DataLoader` with transforms that can be undone, so that its batches can be shown.

    Attributes of the data set and of the transforms, such as `vocab`, are found on it.

    Args:
        dataset: `Datasets`, `TfmdLists`, or anything that can be indexed.
        bs: samples in a batch.
        shuffle: a new order every epoch.
        num_workers: threads that work ahead; 0 does everything in the calling thread.
        after_item: transforms of a sample; a function sees each element of a tuple by itself.
        before_batch: transforms of the list of samples.
        after_batch: transforms of the batch, on its device.
        do_setup: set the transforms up from the data, such as `Normalize` from one batch.
        split_idx: which transforms apply, 0 those of training, 1 those of validation; by default
            what the data set says.

    The other options are those of `DataLoader`.
    """

    def __init__(
        self,
        dataset: Any,
        bs: int | None = 64,
        shuffle: bool = False,
        *,
        batch_size: int | None = None,
        do_setup: bool = True,
        **options: Unpack[FurtherOptions],
    ) -> None:
        if options.get("split_idx") is None:
            options["split_idx"] = getattr(dataset, "split_idx", None)
        super().__init__(dataset, bs if batch_size is None else batch_size, shuffle, **options)
        self._parent: TfmdDL | None = None
        self._types: Any = None
        if do_setup:
            self.setup()

    def setup(self) -> None:
        """Set the transforms up: of items from the samples, of batches from one raw batch."""
        self.after_item.setup(Rows(self.dataset), train_setup=False)
        self.after_batch.setup(_RawBatch(self), train_setup=False)

    def new(self, dataset: Any = None, **options: Unpack[LoaderOptions]) -> Self:
        """Return a loader like this one, with another data set or other options.

        Its transforms are the same objects and not set up again.
        """
        other = super().new(dataset, **options)
        other._parent = self if self._parent is None else self._parent
        return other

    @property
    def n_inp(self) -> int:
        """How many elements of a batch are inputs."""
        return int(getattr(self.dataset, "n_inp", 1))

    # ---- back from batches to what they were made of ---------------------------------------

    def decode(self, b: Any) -> Any:
        """Return a batch as it was before the batch transforms, on the CPU."""
        whole = to_cpu(self.after_batch.decode(_retyped(b, self.batch_types())))
        return self.before_batch.decode(whole)

    def decode_batch(self, b: Any, max_n: int | None = 9, full: bool = True) -> L[Any]:
        """Return the samples of a batch, as far back as their transforms can be undone.

        Args:
            b: a batch as the loader gives it, or its plain tensors, or inputs and predictions.
            max_n: samples at most; None takes all.
            full: undo the transforms of the data set, too, else only those of the loader.
        """
        decoded = self.decode(b)
        samples = samples_of(decoded, max_n if max_n is not None else 1 << 62)
        samples = [self.after_item.decode(sample) for sample in samples]
        decode = getattr(self.dataset, "decode", None)
        return L([decode(s) for s in samples] if full and decode is not None else samples)

    def decode_targets(self, targets: tuple[Any, ...], inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the targets of the first sample of a batch, as `decode_batch` does.

        Its inputs are left as they are where no transform wants to see them with the targets.

        Args:
            targets: such as predicted class numbers, [n].
            inputs: what the model saw of the same samples.
        """
        stages = (self.after_batch, self.before_batch, self.after_item)
        if not isinstance(self.dataset, Datasets) or not all(_alone(s, targets) for s in stages):
            whole = self.decode_batch((*inputs, *targets), max_n=1)[0]
            return tuple(whole[len(inputs) :])
        types = self.batch_types()
        typed = _retyped(targets, types[len(inputs) :]) if isinstance(types, list) else targets
        first = samples_of(to_cpu(typed), 1)[0]
        tls = self.dataset.tls[len(inputs) :]
        return tuple(tl.decode(one) for one, tl in zip(first, tls, strict=False))

    def batch_types(self) -> Any:
        """Return the types that batches have, nested like them; None if there is no data."""
        if self._types is None:
            if self._parent is not None:
                return self._parent.batch_types()
            if self.n:
                self._types = _types_of(self._any_batch())
        return self._types

    def _any_batch(self) -> Any:
        if not self.indexed:
            return self.one_batch()
        try:
            return self.batch_of([0])
        except ImageError:
            return self.one_batch()  # item 0 cannot be read; others can

    # ---- pictures --------------------------------------------------------------------------

    def show_batch(
        self,
        b: Any = None,
        max_n: int | None = None,
        nrows: int | None = None,
        ncols: int | None = None,
        *,
        figsize: FigSize = None,
        unique: bool = False,
        show: bool = True,
    ) -> L[Any] | Grid | None:
        """Draw the samples of a batch on a grid and return its axes; print what is no picture.

        Args:
            b: the batch; a new one if None.
            max_n: samples at most; by default as many as `nrows` and `ncols` say, or 9.
            nrows: rows of the grid.
            ncols: columns of the grid.
            figsize: (width, height) in inches.
            unique: draw one item again and again, to see what the transforms make of it.
            show: False returns the decoded samples and draws nothing.
        """
        n = how_many(max_n, nrows, ncols)
        if b is None:
            b = self.batch_of([0] * min(n, self.bs or 1)) if unique else self.one_batch()
        samples = self.decode_batch(b, n, full=not show)
        if not show:
            return samples
        return show_each(samples, self._show_sample, nrows, ncols, figsize)

    def show_results(
        self,
        b: Any,
        out: Any,
        max_n: int | None = None,
        nrows: int | None = None,
        ncols: int | None = None,
        *,
        figsize: FigSize = None,
    ) -> Grid | None:
        """Draw inputs with what was wanted and, below, what was predicted; return the axes.

        Args:
            b: a batch as the loader gives it.
            out: the predictions for it, decoded by the loss: class numbers, for instance.
            max_n: samples at most; by default as many as `nrows` and `ncols` say, or 9.
            nrows: rows of the grid.
            ncols: columns of the grid.
            figsize: (width, height) in inches.
        """
        n = how_many(max_n, nrows, ncols)
        whole = b if isinstance(b, tuple) else tuple(b) if isinstance(b, list) else (b,)
        k = self.n_inp
        answers = (*whole[:k], *(out if isinstance(out, tuple) else (out,)))
        inputs = [sample[:k] for sample in self.decode_batch(whole, n, full=False)]
        wanted = [sample[k:] for sample in self.decode_batch(whole, n)]
        predicted = [sample[k:] for sample in self.decode_batch(answers, n)]
        return show_outcomes(inputs, wanted, predicted, self._show_sample, nrows, ncols, figsize)

    def _show_sample(self, sample: Any, ctx: Any = None) -> Any:
        show = getattr(self.dataset, "show", None)
        return show_values(sample, ctx) if show is None else show(sample, ctx=ctx)

    # ----------------------------------------------------------------------------------------

    def _as_stage(self, tfms: Tfms) -> Pipeline:
        return Pipeline(tfms, split_idx=self.split_idx)

    def _options(self) -> TfmdOptions:
        return {**super()._options(), "bs": self._asked_bs, "batch_size": None, "do_setup": False}

    def __getattr__(self, name: str) -> Any:
        # Only reached for names that it has not itself, such as `vocab`.
        if name.startswith("_") or name in ("dataset", "after_item", "after_batch"):
            raise AttributeError(name)
        for place in (self.dataset, self.after_item, self.after_batch):
            if hasattr(place, name):
                return getattr(place, name)
        raise AttributeError(
            f"Neither the loader nor its {type(self.dataset).__name__} has an attribute `{name}`."
        )


class _RawBatch(Sequence[Any]):
    """One batch before the batch transforms, made only if a transform looks at it."""

    def __init__(self, loader: TfmdDL) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return 1

    @overload
    def __getitem__(self, i: int) -> Any: ...
    @overload
    def __getitem__(self, i: slice) -> "Sequence[Any]": ...
    def __getitem__(self, i: int | slice) -> Any:
        if i != 0:
            raise IndexError(i)
        return self.loader.new(after_batch=None).one_batch()


def _alone(stage: Any, values: tuple[Any, ...]) -> bool:
    """Say whether the transforms of a stage are not there to be undone on such values."""
    return isinstance(stage, Pipeline) and all(_passes(f, values) for f in stage.fs)


def _passes(f: Transform, values: tuple[Any, ...]) -> bool:
    kind = type(f)
    if kind.decode is not Transform.decode or isinstance(f, ItemTransform):
        return False
    if kind.decodes is Transform.decodes and getattr(f, "_dec", None) is None:
        return True
    return f._undone is not None and not any(isinstance(v, f._undone) for v in values)


def _types_of(batch: Any) -> Any:
    if isinstance(batch, tuple | list):
        return [_types_of(part) for part in batch]
    return type(batch)


def _retyped(batch: Any, types: Any) -> Any:
    """Give plain tensors the display types that the batches of the loader have."""
    if isinstance(batch, tuple | list) and isinstance(types, list):
        parts = [_retyped(part, kind) for part, kind in zip(batch, types, strict=False)]
        return type(batch)([*parts, *batch[len(parts) :]])
    if type(batch) is Tensor and isinstance(types, type) and issubclass(types, Tensor):
        return batch.as_subclass(types)
    return batch
