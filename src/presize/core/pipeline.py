"""Pipelines: transforms that run one after the other, sorted by their order."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

from presize.core.errors import did_you_mean
from presize.core.transform import Function, Transform, as_transform


class Through(Sequence[Any]):
    """A sequence seen through functions, computed when read."""

    def __init__(self, items: Sequence[Any], functions: Iterable[Function]) -> None:
        self.items, self.functions = items, list(functions)

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, i: int) -> Any: ...
    @overload
    def __getitem__(self, i: slice) -> "Through": ...
    def __getitem__(self, i: int | slice) -> Any:
        if isinstance(i, slice):
            return Through(self.items[i], self.functions)
        return functools.reduce(lambda x, function: function(x), self.functions, self.items[i])

    def __iter__(self) -> Iterator[Any]:
        for item in self.items:
            yield functools.reduce(lambda x, function: function(x), self.functions, item)


class Pipeline:
    """Transforms that run one after the other, sorted by their `order`.

    Args:
        funcs: transforms, transform classes and plain functions, mixed freely; None is empty.
        split_idx: the split that calls are for, when they do not say.
    """

    def __init__(self, funcs: Any = None, split_idx: int | None = None) -> None:
        self.split_idx = split_idx
        self.fs: list[Transform] = []
        if isinstance(funcs, Pipeline):
            self.add(funcs.fs)
        elif funcs is not None:
            # What can be called is one, also where it is a list of transforms itself.
            several = isinstance(funcs, Iterable) and not callable(funcs)
            self.add(funcs if several else [funcs])

    def add(self, functions: Iterable[Transform | type[Transform] | Function]) -> None:
        """Add transforms, and sort all by `order`; equals keep the order of their listing."""
        self.fs = sorted([*self.fs, *map(as_transform, functions)], key=lambda f: f.order)
        count: dict[str, int] = {}
        for f in self.fs:
            count[f.name] = count.get(f.name, -1) + 1
            f.draw_name = f"{f.name}.{count[f.name]}"

    def __call__(self, x: Any, split_idx: int | None = None) -> Any:
        """Pass a value or tuple through all transforms; neighbours that can be one are one."""
        split = self.split_idx if split_idx is None else split_idx
        for f in self._joined():
            x = f(x, split_idx=split)
        return x

    def decode(self, x: Any, split_idx: int | None = None) -> Any:
        """Undo all transforms, last first."""
        split = self.split_idx if split_idx is None else split_idx
        for f in reversed(self.fs):
            x = f.decode(x, split_idx=split)
        return x

    def show(self, x: Any, ctx: Any = None, **options: Any) -> Any:
        """Undo transforms until the value can show itself, then show it; return its context."""
        for f in reversed(self.fs):
            if callable(getattr(x, "show", None)):
                break
            x = f.decode(x, split_idx=self.split_idx)
        if callable(getattr(x, "show", None)):
            return x.show(ctx=ctx, **options)
        if ctx is not None and hasattr(ctx, "set_title"):
            ctx.set_title(str(x))
        else:
            print(x)
        return ctx

    def setup(self, items: Any = None, train_setup: bool = True) -> None:
        """Set up each transform from the (training) items that passed the ones before it."""
        if items is None:
            return
        items = getattr(items, "train", items) if train_setup else items
        for i, f in enumerate(self.fs):
            f.setup(Through(items, [partial_split(g, self.split_idx) for g in self.fs[:i]]), False)

    def fused(self) -> "Pipeline":
        """Return the pipeline in which neighbours that can be one transform are one."""
        result = Pipeline(split_idx=self.split_idx)
        result.fs = self._joined()
        return result

    def _joined(self) -> list[Transform]:
        done: list[Transform] = []
        for f in self.fs:
            one = done[-1].fuse(f) if done else None
            done[-1:] = [one] if one is not None else [*done[-1:], f]
        return done

    def find(self, name: str) -> Any:
        """Return the attribute `name` of the first transform that has it.

        Raises:
            AttributeError: no transform has one.
        """
        for f in self.fs:
            if name in vars(f) or name in vars(type(f)):
                return getattr(f, name)
        known = sorted({key for f in self.fs for key in vars(f) if not key.startswith("_")})
        raise AttributeError(
            f"None of the transforms [{' -> '.join(f.name for f in self.fs)}] has an attribute "
            f"`{name}`.{did_you_mean(name, known)}"
        )

    def __getattr__(self, name: str) -> Any:
        # Only reached for names that the pipeline itself has not, such as `vocab`.
        if name.startswith("_") or name == "fs":
            raise AttributeError(name)
        return self.find(name)

    def __len__(self) -> int:
        return len(self.fs)

    def __getitem__(self, i: int) -> Transform:
        return self.fs[i]

    def __iter__(self) -> Iterator[Transform]:
        return iter(self.fs)

    def __repr__(self) -> str:
        return f"Pipeline: {' -> '.join(map(repr, self.fs))}"


def partial_split(transform: Transform, split_idx: int | None) -> Function:
    """Return the transform as a function of one value, for one split."""
    return functools.partial(transform, split_idx=split_idx)


def set_split_idx(transform: Transform | Pipeline, split_idx: int | None) -> None:
    """Limit a transform, or all transforms of a pipeline, to one split."""
    for f in transform.fs if isinstance(transform, Pipeline) else [transform]:
        f.split_idx = split_idx
