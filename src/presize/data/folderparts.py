"""What the functions of `ImageDataLoaders` share."""

import os
from collections.abc import Callable, Sequence
from typing import Any

from presize.core.collector import collector_resting
from presize.core.errors import DataError, did_you_mean
from presize.core.paths import Path
from presize.data.blame import brief
from presize.data.blockparts import Block
from presize.data.blocks import CategoryBlock, ImageBlock, MultiCategoryBlock, RegressionBlock
from presize.data.datablock import DataBlock
from presize.data.decisions import Decisions
from presize.data.images import PILBase, PILImage
from presize.data.labels import ColReader
from presize.data.options import CommonOptions, Tfms

AnyPath = str | os.PathLike[str]
Labeller = Callable[[Any], Any]


class ImageOptions(CommonOptions, total=False):
    """What all of the functions below take: `CommonOptions`, transforms, the kind of picture.

    item_tfms: transforms of each sample, such as `Resize(224)`, which pictures of different sizes
    need. batch_tfms: transforms of a whole batch. img_cls: PILImage (RGB) or PILImageBW (gray).
    decisions: the CSV file of `learn.clean` or `presize clean`, whose drops and new labels are
    taken over; see `DataBlock`.
    """

    item_tfms: Tfms
    batch_tfms: Tfms
    img_cls: type[PILBase]
    decisions: Decisions | AnyPath | None


def image_block(
    y_block: Block,
    options: ImageOptions,
    *,
    splitter: Callable[[Any], Sequence[Any]] | None,
    get_y: Labeller,
    get_x: Labeller | None = None,
    get_items: Callable[[Any], Any] | None = None,
) -> DataBlock:
    """Return the block of pictures and one target, with the transforms among `options`."""
    return DataBlock(
        blocks=(ImageBlock(options.get("img_cls", PILImage)), y_block),
        get_items=get_items,
        splitter=splitter,
        get_x=get_x,
        get_y=get_y,
        item_tfms=options.get("item_tfms"),
        batch_tfms=options.get("batch_tfms"),
        decisions=options.get("decisions"),
    )


def common_options(options: ImageOptions) -> CommonOptions:
    """Return the options that are not about pictures."""
    own = ("item_tfms", "batch_tfms", "img_cls", "decisions")
    return {k: v for k, v in options.items() if k not in own}  # type: ignore[return-value]


def block_for(labels: Sequence[Any]) -> Block:
    """Return the kind of target that labels are, judged by the first."""
    first = labels[0] if labels else ""
    if isinstance(first, list | tuple | set | frozenset):
        return MultiCategoryBlock
    return RegressionBlock if isinstance(first, float) else CategoryBlock


def existing_paths(path: AnyPath, fnames: Sequence[AnyPath]) -> list[Path]:
    """Return the files as paths; names that are only found in `path` are taken from there.

    Raises:
        DataError: there are none.
        TypeError: `fnames` is one path, or `path` none.
    """
    if isinstance(fnames, str | os.PathLike):
        raise TypeError(
            f"A list of files is expected, but got one path, `{fnames}`. For the pictures in a "
            "folder: get_image_files(folder)."
        )
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"`path`, the folder of the data, comes first and the files second, but the first is "
            f"a {type(path).__name__}."
        )
    with collector_resting():
        # A path that is one already is not taken apart anew: 1.3 us each.
        names = [name if isinstance(name, Path) else Path(name) for name in fnames]
        if names and not names[0].exists() and (Path(path) / names[0]).exists():
            names = [Path(path) / name for name in names]
    if not names:
        raise DataError(
            f"There are no files to make loaders of: `fnames` is empty. The folder of the data is "
            f"`{path}`{_listed(Path(path))}; give the files in it, `get_image_files(folder)`."
        )
    return names


def _listed(folder: Path) -> str:
    """Return what there is in a folder, as the part of an error text after its name."""
    if not folder.is_dir():
        return ", which does not exist"
    names = sorted(p.name for p in folder.iterdir())
    shown = [f"`{name}{'/' * (folder / name).is_dir()}`" for name in names[:8]]
    more = ", ..." * (len(names) > 8)
    return f", with {', '.join(shown)}{more} in it" if names else ", which is empty"


def check_columns(df: Any, *readers: ColReader) -> None:
    """Read the first row, so that a column that is not there is told at once."""
    if not hasattr(df, "iloc"):
        raise TypeError(
            f"from_df takes a DataFrame, but got {brief(df)} ({type(df).__name__}). A CSV file is "
            "read by from_csv(path, csv_fname)."
        )
    for reader in readers if len(df) else ():
        reader(df.iloc[0])


def check_folders(path: Path, *names: str) -> None:
    """Raise DataError if one of the folders `names` is not in `path`."""
    missing = [name for name in names if not (path / name).is_dir()]
    if not path.is_dir() or not missing:
        return  # a missing `path` is reported where it is read
    there = sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    raise DataError(
        f"`{path}` has no folder {' and no '.join(f'`{name}`' for name in missing)}, where "
        f"from_folder looks for pictures.{did_you_mean(missing[0], there)} The folders in it are: "
        f"{', '.join(f'`{name}`' for name in there[:8]) or 'none'}. Name them with train= and "
        "valid=, or have a part of all pictures drawn for validation with valid_pct=0.2."
    )
