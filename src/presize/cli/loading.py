"""The loaders of a run: pictures and labels from wherever they are."""

from typing import TYPE_CHECKING, Any

from presize.cli.settings import Settings
from presize.cli.source import Source

if TYPE_CHECKING:
    from presize.data.folderparts import ImageOptions
    from presize.data.loaders import DataLoaders

VALID_PCT = 0.2


def loaders(source: Source, settings: Settings) -> "DataLoaders":
    """Return the loaders of the data: its own split if it has one, else a random fifth.

    Raises:
        DataError: the data is not as said.
    """
    if source.is_table:
        return _from_table(source, settings)
    from presize.data.folders import ImageDataLoaders

    options = _options(settings)
    part, seed = settings.valid_pct, settings.seed
    if source.pattern is not None:
        from presize.data.items import get_image_files

        files = get_image_files(source.path)
        return ImageDataLoaders.from_name_re(
            source.path, files, source.pattern, part or VALID_PCT, seed, **options
        )
    if source.splits is not None and part is None:
        train, valid = source.splits
        return ImageDataLoaders.from_folder(source.path, train, valid, None, seed, **options)
    return ImageDataLoaders.from_folder(
        source.path, valid_pct=part or VALID_PCT, seed=seed, **options
    )


def _from_table(source: Source, settings: Settings) -> "DataLoaders":
    from presize.core.errors import DataError
    from presize.data.folders import ImageDataLoaders
    from presize.data.labelled_table import VALID, read_labelled

    table = read_labelled(source.path)
    own = VALID in table.columns and settings.valid_pct is None
    empty = (table.iloc[:, 1] == "").to_numpy().nonzero()[0]
    if source.label_delim is None and len(empty):
        raise DataError(
            f"Line {empty[0] + 2} of `{source.path}` has no label: give each picture one, or leave "
            "its line out. Where pictures may have several labels or none, say what separates "
            "them: --label-delim."
        )
    return ImageDataLoaders.from_df(
        table,
        source.path.parent,
        settings.valid_pct or VALID_PCT,
        settings.seed,
        label_delim=source.label_delim,
        valid_col=VALID if own else None,
        **_options(settings),
    )


def _options(settings: Settings) -> "ImageOptions":
    from presize.augment.presets import aug_transforms
    from presize.data.resize import Resize

    recipe, cache = settings.recipe, settings.cache
    # Small drawings have nothing to lose at the edge, and a warp changes what a digit is.
    warp = 0.2 if recipe.flip else 0.1
    options: ImageOptions = {
        "item_tfms": Resize(recipe.presize),
        "batch_tfms": aug_transforms(size=recipe.size, do_flip=recipe.flip, max_warp=warp),
        "bs": recipe.bs,
        "decisions": settings.decisions,
        "num_workers": settings.workers,
        "cache": False if cache == "no" else cache,  # type: ignore[typeddict-item]
    }
    return options


def described(dls: "DataLoaders") -> dict[str, Any]:
    """Return how much data there is, and how much of each class; no picture is read."""
    from presize.data.class_counts import class_counts

    sets = {"train": dls.train_ds, "valid": dls.valid_ds}
    return {
        "task": dls.task,
        "splits": {name: len(one) for name, one in sets.items()},
        "classes": {name: class_counts(one) for name, one in sets.items()},
    }
