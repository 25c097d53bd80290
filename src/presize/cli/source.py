"""Which data an argument of the command line names."""

from pathlib import Path


def source_of(data: str, *, tables: bool = False) -> Path:
    """Return the folder (or the CSV file) that `data` names; `digits` is the one that comes along.

    Args:
        data: a path, or `digits`.
        tables: a CSV file is taken as well.

    Raises:
        NotADirectoryError: there is no such folder; near names are shown.
    """
    if data == "digits":
        from presize.data.digits import digits_folder

        return digits_folder()
    place = Path(data)
    if place.is_dir() or (tables and place.is_file()):
        return place
    from presize.core.errors import did_you_mean

    near = did_you_mean(place.name, ["digits", *_beside(place, tables=tables)])
    what = "folder and no CSV file" if tables else "folder"
    raise NotADirectoryError(
        f"There is no {what} `{data}`.{near} Give a folder with one subfolder of pictures for "
        "each class, or `digits` for the handwriting that comes with presize."
    )


def _beside(place: Path, *, tables: bool) -> list[str]:
    if not place.parent.is_dir():
        return []
    return [p.name for p in place.parent.iterdir() if p.is_dir() or (tables and p.suffix == ".csv")]
