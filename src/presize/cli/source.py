"""Which data an argument of the command line names."""

from dataclasses import dataclass
from pathlib import Path

DIGITS = "digits"
# How the data sets of `URLs` are laid out that are no folders of classes: what to look at in the
# folder, and the pattern of the labels.
_LAYOUTS = {"PETS": ("images", r"^(.+)_\d+\.jpg$")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where labelled pictures are, and how their labels are told.

    Args:
        path: a folder, or a table of pictures and labels.
        pattern: finds the label in the name of a file; None takes the folder that it is in.
        label_delim: what separates several labels in the table.
        splits: the folders of training and validation, if there are such.
    """

    path: Path
    pattern: str | None = None
    label_delim: str | None = None
    splits: tuple[str, str] | None = None

    @property
    def is_table(self) -> bool:
        """Whether the labels are in a table."""
        return self.path.is_file()


def find_data(
    data: str,
    *,
    pattern: str | None = None,
    label_delim: str | None = None,
    download: bool = False,
) -> Source:
    """Return where the data is that an argument names: to train on, with its labels.

    Args:
        data: a folder, a table, `digits`, or one of `URLs`, such as `MNIST_SAMPLE`.
        pattern: see `Source`.
        label_delim: see `Source`.
        download: fetch the data set of `URLs` that is not there yet.

    Raises:
        NotADirectoryError: there is no such folder; near names are shown.
        ValueError: an option that does not go with this data.
        DownloadError: a data set that is not there, and was not to be fetched, or cannot be.
    """
    path = source_of(data, tables=True, download=download)
    if path.is_file() and pattern is not None:
        raise ValueError(
            "--pattern finds labels in the names of files in a folder, but in a table they are in "
            "its second column: leave it out."
        )
    if path.is_dir() and label_delim is not None:
        raise ValueError(
            "--label-delim separates labels in a table, but this is a folder, where each picture "
            "has one: leave it out, or give a CSV file."
        )
    if data in _LAYOUTS and not Path(data).exists():
        below, usual = _LAYOUTS[data]
        path, pattern = path / below, pattern or usual
    splits = None
    if path.is_dir() and pattern is None:
        from presize.data.check.folder import usual_splits

        found = usual_splits(path)
        splits = (found[0], found[1]) if found else None
    return Source(path=path, pattern=pattern, label_delim=label_delim, splits=splits)


def source_of(data: str, *, tables: bool = False, download: bool = False) -> Path:
    """Return the folder (or the table) that `data` names; `digits` is the one that comes along.

    Args:
        data: a path, `digits`, or one of `URLs`, such as `MNIST_SAMPLE`.
        tables: a CSV or TSV file is taken as well.
        download: fetch the data set of `URLs` that is not there yet.

    Raises:
        NotADirectoryError: there is no such folder; near names are shown.
        DownloadError: a data set that is not there, and was not to be fetched, or cannot be.
    """
    if data == DIGITS:
        from presize.data.digits import digits_folder

        return digits_folder()
    place = Path(data)
    if place.is_dir() or (tables and place.is_file()):
        return place
    if data in public_names():
        return _public(data, download=download)
    from presize.core.errors import did_you_mean

    near = did_you_mean(place.name, [DIGITS, *_beside(place, tables=tables), *public_names()])
    table = ", and no table of that name" if tables else ""
    raise NotADirectoryError(
        f"There is no folder `{data}`{table}.{near} Give a folder with one subfolder of "
        "pictures for each class, or `digits` for the handwriting that comes with presize."
    )


def public_names() -> list[str]:
    """Return the names of the data sets that can be fetched."""
    from presize.data.urls import URLs

    return [name for name in vars(URLs) if name.isupper()]


def _public(name: str, *, download: bool) -> Path:
    from presize.core.errors import DownloadError
    from presize.data.download import untar_data
    from presize.data.urls import SIZES, URLs

    url = vars(URLs)[name]
    there = any(URLs.path(url, kind).exists() for kind in ("archive", "data"))
    if not there and not download:
        raise DownloadError(
            f"The data set {name} ({SIZES[url] / 1e6:,.1f} MB) is not on this machine yet: "
            f"--download fetches it into {URLs.path(url, 'data')}."
        )
    return untar_data(url)


def _beside(place: Path, *, tables: bool) -> list[str]:
    from presize.data.labelled_table import ENDINGS

    if not place.parent.is_dir():
        return []
    beside = place.parent.iterdir()
    return [p.name for p in beside if p.is_dir() or (tables and p.suffix in ENDINGS)]
