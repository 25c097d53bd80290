"""A random split that can keep the mix of labels."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from presize.core.collections import L
from presize.core.errors import DataError
from presize.data.positions import Split, check_length, each_item


@dataclass(frozen=True, eq=False)
class TrainTestSplitter:
    """scikit-learn's `train_test_split`: random, and with `stratify` the same mix of labels.

    Args:
        test_size: the part (0 to 1) or number of items for validation.
        random_state: the seed; None draws anew at every call.
        stratify: the label of every item, or the function that gives it, such as `parent_label`.
        train_size: the part or number for training; None takes what is left.
        shuffle: False takes the last items for validation.

    Raises:
        DataError: (when called) a label is too rare to be in both sets, or sizes do not fit.
    """

    test_size: float | int = 0.2
    random_state: int | None = None
    stratify: Sequence[Any] | Callable[[Any], Any] | None = field(default=None, repr=False)
    train_size: float | int | None = None
    shuffle: bool = True

    def __call__(self, items: Collection[Any]) -> Split:
        """Return the training and the validation positions."""
        from sklearn.model_selection import train_test_split

        labels = self.stratify
        if callable(labels):
            labels = [labels(item) for item in each_item(items)]
        if labels is not None:
            check_length("stratify", labels, items)
            _check_rare(labels)
        try:
            train, valid = train_test_split(
                range(len(items)),
                test_size=self.test_size,
                random_state=self.random_state,
                stratify=labels,
                train_size=self.train_size,
                shuffle=self.shuffle,
            )
        except ValueError as error:
            raise DataError(f"{self} cannot split {len(items)} items: {error}") from None
        return L(train), L(valid)


def _check_rare(labels: Sequence[Any]) -> None:
    """Raise DataError if a label has a single item, which cannot be in both sets."""
    counts: dict[Any, int] = {}
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
    rare = [label for label, count in counts.items() if count < 2]
    if rare:
        raise DataError(
            f"A stratified split needs two items of every label, but {len(rare)} of "
            f"{len(counts)} have only one: {', '.join(f'`{label}`' for label in rare[:5])}. Add "
            "items of these, or leave them out."
        )
