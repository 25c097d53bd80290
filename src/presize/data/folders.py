"""`ImageDataLoaders`: loaders of pictures in one call, by where their labels are."""

import csv
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, Literal, Self, Unpack

from presize.core.errors import DataError, did_you_mean
from presize.core.lazy import pd
from presize.core.paths import Path
from presize.core.sequences import is_listy
from presize.data.blockparts import Block
from presize.data.blocks import CategoryBlock, MultiCategoryBlock
from presize.data.folderparts import (
    AnyPath,
    ImageOptions,
    Labeller,
    block_for,
    check_columns,
    check_folders,
    common_options,
    existing_paths,
    image_block,
)
from presize.data.items import ImageGetter
from presize.data.labels import ColReader, RegexLabeller, parent_label, using_attr
from presize.data.loaders import DataLoaders
from presize.data.splits import ColSplitter, GrandparentSplitter, RandomSplitter
from presize.data.stream.huggingface import hub_items
from presize.data.stream.shardlist import Urls
from presize.data.stream.shardsource import ShardLabel, Shards, picture_of


class ImageDataLoaders(DataLoaders):
    """Loaders of pictures with one or several labels each.

    In all functions `path` is the folder of the data, below which models are saved, `valid_pct`
    the part that is drawn for validation, and `seed` makes that the same draw every time. The
    other options are those of `ImageOptions`.
    """

    @classmethod
    def from_folder(
        cls,
        path: AnyPath,
        train: str = "train",
        valid: str = "valid",
        valid_pct: float | None = None,
        seed: int | None = None,
        vocab: Sequence[Any] | None = None,
        **options: Unpack[ImageOptions],
    ) -> Self:
        """Return loaders of pictures that lie in folders named as their labels.

        Args:
            path: holds `train/cat/1.jpg`, `valid/cat/2.jpg`; with `valid_pct` just `cat/1.jpg`.
            train: the folder of the training pictures.
            valid: the folder of the validation pictures.
            valid_pct: draw so many for validation from all pictures, in whatever folders.
            seed: see the class.
            vocab: the classes; by default those of the training pictures.

        Raises:
            DataError: a folder is missing or empty; see also `DataBlock.datasets`.
        """
        by_folder = valid_pct is None
        if by_folder:
            check_folders(Path(path), train, valid)
        block = image_block(
            CategoryBlock(vocab=vocab),
            options,
            get_items=ImageGetter(folders=(train, valid) if by_folder else None),
            splitter=(
                GrandparentSplitter(train, valid)
                if valid_pct is None
                else RandomSplitter(valid_pct, seed)
            ),
            get_y=parent_label,
        )
        return cls.from_dblock(block, path, path, **common_options(options))

    @classmethod
    def from_path_func(
        cls,
        path: AnyPath,
        fnames: Sequence[AnyPath],
        label_func: Labeller,
        valid_pct: float = 0.2,
        seed: int | None = None,
        **options: Unpack[ImageOptions],
    ) -> Self:
        """Return loaders of the files `fnames`, whose labels `label_func` makes of their paths."""
        splitter = RandomSplitter(valid_pct, seed)
        block = image_block(CategoryBlock(), options, splitter=splitter, get_y=label_func)
        return cls.from_dblock(block, existing_paths(path, fnames), path, **common_options(options))

    from_path_funcs = from_path_func

    @classmethod
    def from_name_func(
        cls,
        path: AnyPath,
        fnames: Sequence[AnyPath],
        label_func: Labeller,
        valid_pct: float = 0.2,
        seed: int | None = None,
        **options: Unpack[ImageOptions],
    ) -> Self:
        """Return loaders of the files `fnames`, whose labels `label_func` makes of their names."""
        by_name = using_attr(label_func, "name")
        return cls.from_path_func(path, fnames, by_name, valid_pct, seed, **options)

    @classmethod
    def from_path_re(
        cls,
        path: AnyPath,
        fnames: Sequence[AnyPath],
        pat: str,
        valid_pct: float = 0.2,
        seed: int | None = None,
        **options: Unpack[ImageOptions],
    ) -> Self:
        """Return loaders of the files `fnames`, labelled by a regular expression on their paths.

        The label is the first group of `pat`; see `RegexLabeller`.
        """
        return cls.from_path_func(path, fnames, RegexLabeller(pat), valid_pct, seed, **options)

    @classmethod
    def from_name_re(
        cls,
        path: AnyPath,
        fnames: Sequence[AnyPath],
        pat: str,
        valid_pct: float = 0.2,
        seed: int | None = None,
        **options: Unpack[ImageOptions],
    ) -> Self:
        """Return loaders of the files `fnames`, labelled by a regular expression on their names.

        The label is the first group of `pat`; see `RegexLabeller`.
        """
        return cls.from_name_func(path, fnames, RegexLabeller(pat), valid_pct, seed, **options)

    @classmethod
    def from_df(
        cls,
        df: Any,
        path: AnyPath = ".",
        valid_pct: float = 0.2,
        seed: int | None = None,
        fn_col: str | int = 0,
        folder: AnyPath | None = None,
        suff: str = "",
        label_col: str | int | Sequence[str | int] = 1,
        label_delim: str | None = None,
        y_block: Block | None = None,
        valid_col: str | int | None = None,
        **options: Unpack[ImageOptions],
    ) -> Self:
        """Return loaders of the pictures that a DataFrame lists.

        Args:
            df: one row for each picture.
            path: see the class.
            valid_pct: see the class.
            seed: see the class.
            fn_col: the column of the file names, by name or number.
            folder: the folder of the files in `path`.
            suff: put after the file names, such as ".jpg".
            label_col: the column of the labels, or a list of them.
            label_delim: what separates several labels in one text.
            y_block: the kind of target; by default one label, or several where `label_delim` or
                several columns are given.
            valid_col: the column that is true for validation, in place of a random draw.
        """
        if y_block is None:
            several = label_delim is not None or (is_listy(label_col) and len(label_col) > 1)  # type: ignore[arg-type]
            y_block = MultiCategoryBlock if several else CategoryBlock
        get_x = ColReader(fn_col, pref=Path(path) / (folder or ""), suff=suff)
        get_y = ColReader(label_col, label_delim=label_delim)
        check_columns(df, get_x, get_y)
        splitter = RandomSplitter(valid_pct, seed) if valid_col is None else ColSplitter(valid_col)
        block = image_block(y_block, options, splitter=splitter, get_x=get_x, get_y=get_y)
        return cls.from_dblock(block, df, path, **common_options(options))

    @classmethod
    def from_csv(
        cls,
        path: AnyPath,
        csv_fname: AnyPath = "labels.csv",
        header: int | Literal["infer"] | None = "infer",
        delimiter: str = ",",
        quoting: int = csv.QUOTE_MINIMAL,
        *,
        valid_pct: float = 0.2,
        seed: int | None = None,
        fn_col: str | int = 0,
        folder: AnyPath | None = None,
        suff: str = "",
        label_col: str | int | Sequence[str | int] = 1,
        label_delim: str | None = None,
        y_block: Block | None = None,
        valid_col: str | int | None = None,
        **options: Unpack[ImageOptions],
    ) -> Self:
        """Return loaders of the pictures that a CSV file lists; see `from_df` for the columns.

        Args:
            path: see the class.
            csv_fname: the file, in `path`.
            header: the number of the row that names the columns; None if there is none.
            delimiter: what separates the columns.
            quoting: which fields are in quotes, as in Python's `csv`.
        """
        file = Path(path) / csv_fname
        if not file.is_file():
            there = [p.name for p in Path(path).glob("*.csv")]
            raise FileNotFoundError(
                f"There is no table `{file}`.{did_you_mean(file.name, there)} The .csv files in "
                f"`{path}` are: {', '.join(there) or 'none'}. Name it with csv_fname=."
            )
        df = pd.read_csv(file, header=header, delimiter=delimiter, quoting=quoting)  # type: ignore[call-overload]
        columns = (fn_col, folder, suff, label_col, label_delim, y_block, valid_col)
        return cls.from_df(df, path, valid_pct, seed, *columns, **options)

    @classmethod
    def from_lists(
        cls,
        path: AnyPath,
        fnames: Sequence[AnyPath],
        labels: Sequence[Any],
        valid_pct: float = 0.2,
        seed: int | None = None,
        y_block: Block | None = None,
        **options: Unpack[ImageOptions],
    ) -> Self:
        """Return loaders of the files `fnames` with the `labels` beside them.

        Args:
            path: see the class.
            fnames: the files.
            labels: one for each file: a class, a list of classes, or a number to predict.
            valid_pct: see the class.
            seed: see the class.
            y_block: the kind of target; by default what the first label looks like.

        Raises:
            DataError: not as many labels as files.
        """
        names, targets = existing_paths(path, fnames), list(labels)
        if len(names) != len(targets):
            raise DataError(
                f"There are {len(names)} files, but {len(targets)} labels: from_lists needs one "
                "label for each file, in the same order."
            )
        block = image_block(
            y_block or block_for(targets),
            options,
            splitter=RandomSplitter(valid_pct, seed),
            get_x=itemgetter(0),
            get_y=itemgetter(1),
        )
        pairs = list(zip(names, targets, strict=True))
        return cls.from_dblock(block, pairs, path, **common_options(options))

    @classmethod
    def from_hf(
        cls,
        data: Any,
        image: str | None = None,
        label: str | None = None,
        path: AnyPath = ".",
        valid_pct: float = 0.2,
        seed: int | None = None,
        y_block: Block | None = None,
        n: int | None = None,
        valid_n: int | None = None,
        **options: Unpack[ImageOptions],
    ) -> Self:
        """Return loaders of a data set of the Hugging Face library `datasets`.

        Of a `DatasetDict` the splits are used as they are, see `hub_items`; of a single data set a
        part is drawn for validation. Class labels keep their order.

        Args:
            data: what `load_dataset` returns, also with `streaming=True`.
            image: the column of the pictures; by default the first of pictures.
            label: the column of the labels; by default the first of class labels, or `label`.
            path: see the class.
            valid_pct: see the class; has no meaning where the data has its own splits.
            seed: see the class.
            y_block: the kind of target; by default what the first label looks like.
            n: of streamed data: the number of training samples, where the library does not say it.
            valid_n: the same for validation.

        Raises:
            DataError: see `hub_items`.
        """
        items = hub_items(
            data,
            image=image,
            label=label,
            n=n,
            valid_n=valid_n,
            valid_pct=valid_pct,
            seed=42 if seed is None else seed,
        )
        get_y = items.own_getter(1, 1)
        block = image_block(
            y_block or block_for([get_y(items[0])]),
            options,
            splitter=RandomSplitter(valid_pct, seed) if items.own_splits() is None else None,
            get_x=items.own_getter(0, 1),
            get_y=get_y,
        )
        return cls.from_dblock(block, items, path, **common_options(options))

    @classmethod
    def from_shards(
        cls,
        urls: Urls,
        valid: Urls | None = None,
        path: AnyPath = ".",
        valid_pct: float = 0.2,
        seed: int = 42,
        classes: Sequence[str] | None = None,
        label: str = "cls",
        n: int | None = None,
        valid_n: int | None = None,
        **options: Unpack[ImageOptions],
    ) -> Self:
        """Return loaders of tar shards in the WebDataset layout, on a disk or behind URLs.

        Args:
            urls: paths or URLs such as `s3://birds/train-{000..099}.tar`; see `Shards`.
            valid: the shards for validation; by default a part of `urls`.
            path: see the class.
            valid_pct: the part of the shards, where `valid` is None.
            seed: gives the same shards every time.
            classes: the names of the classes 0, 1, ...; needed where the shards are not on a disk.
            label: the ending of the files that hold the labels.
            n: the number of training samples, where no `sizes.json` beside the shards says it.
            valid_n: the same for validation.

        Raises:
            DataError: see `Shards`.
        """
        source = Shards(
            urls, valid, n=n, valid_n=valid_n, valid_pct=valid_pct, seed=seed, classes=classes
        )
        get_y = ShardLabel(label, classes)
        block = image_block(CategoryBlock(), options, splitter=None, get_x=picture_of, get_y=get_y)
        return cls.from_dblock(block, source, path, **common_options(options))
