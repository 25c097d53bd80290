"""What `TfmdLists` and `Datasets` share: a length, splits, subsets, and indexing by many."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack

from presize.core.collections import L
from presize.core.sequences import is_array, positions
from presize.data.positions import check_range, split_indices
from presize.data.stream.itemstream import stream_of

if TYPE_CHECKING:
    from presize.data.loaders import DataLoaders
    from presize.data.options import LoadersOptions
    from presize.data.tfmdloader import TfmdDL


class SplitView:
    """A read-only collection whose samples are made when asked for, with named subsets.

    Args:
        n: number of items.
        splits: see `TfmdLists`.
        split_idx: which split all of the items are; None if they are several.
        dl_type: the class of loader that `dataloaders` makes.
    """

    items: Any

    def __init__(
        self,
        n: int,
        splits: Sequence[Any] | None,
        split_idx: int | None,
        dl_type: "type[TfmdDL] | None",
    ) -> None:
        # Items that are not in memory may be very many: ranges of their positions stay ranges.
        lasting = hasattr(self.items, "selected") or stream_of(self) is not None
        found: list[Any] = [range(n), []]
        if splits is not None:
            found = [s if lasting and type(s) is range else split_indices(s, n) for s in splits]
            for split in found:
                check_range(split, n, "The splits")
        self.splits: L[Any] = L([s if lasting and type(s) is range else L(s) for s in found])
        self.split_idx, self.dl_type = split_idx, dl_type
        self._subsets: dict[int, Self] = {}

    def _at(self, i: Any) -> Any:
        raise NotImplementedError

    def _subset(self, indices: Sequence[int], split_idx: int) -> Self:
        raise NotImplementedError

    def with_items(self, items: Any, split_idx: int | None = None) -> Self:
        """Return other items seen through the same transforms, which stay as they are set up."""
        raise NotImplementedError

    @property
    def n_subsets(self) -> int:
        """The number of splits."""
        return len(self.splits)

    @property
    def train(self) -> Self:
        """The training subset."""
        return self.subset(0)

    @property
    def valid(self) -> Self:
        """The validation subset."""
        return self.subset(1)

    def subset(self, i: int) -> Self:
        """Return the part of split `i`, which transforms for other splits leave alone."""
        if not 0 <= i < self.n_subsets:
            raise IndexError(f"There is no split {i}: there are {self.n_subsets}, from 0 on.")
        if i not in self._subsets:
            self._subsets[i] = self._subset(self.splits[i], i)
        return self._subsets[i]

    def new_empty(self) -> Self:
        """Return the same transforms, set up as they are, without items."""
        return self.with_items(L(), self.split_idx)

    def dataloaders(self, **options: "Unpack[LoadersOptions]") -> "DataLoaders":
        """Return loaders of all subsets; see `DataLoaders.from_dsets` for the options."""
        from presize.data.loaders import DataLoaders  # which is built on this file

        return DataLoaders.from_dsets(*map(self.subset, range(self.n_subsets)), **options)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        """Return one sample, or the L of those at a slice, at several positions or under a mask."""
        if isinstance(index, slice):
            return L([self._at(i) for i in range(len(self))[index]])
        if hasattr(index, "__index__") and not (is_array(index) and index.ndim):
            return self._at(int(index))
        return L([self._at(i) for i in positions(index, len(self))])

    def __iter__(self) -> Iterator[Any]:
        stream = stream_of(self)
        return (self._at(i) for i in (range(len(self)) if stream is None else stream))
