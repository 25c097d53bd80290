"""How many items of each class a data set has, told from its labels alone."""

from typing import Any

import numpy as np

from presize.data.datasets import Datasets


def class_counts(dataset: Any) -> dict[str, int]:
    """Return how many items have each class or label; no picture is read.

    Empty where that cannot be told: the targets are no categories, the data is a stream, or is of
    another library. An item whose label cannot be found is not counted.
    """
    if not isinstance(dataset, Datasets) or dataset.task not in ("classification", "multilabel"):
        return {}
    targets, vocab = dataset.tls[-1], getattr(dataset, "vocab", None)
    if vocab is None or dataset.n_inp != len(dataset.tls) - 1:
        return {}
    counts = np.zeros(len(vocab), dtype=np.int64)
    for i in range(len(targets)):
        try:
            target = np.asarray(targets._at(i))
        except Exception:  # what is wrong with it is said when its turn comes
            continue
        if dataset.task == "classification":
            counts[int(target)] += 1
        else:
            counts += target.astype(np.int64)
    return {str(name): int(n) for name, n in zip(vocab, counts, strict=True)}
