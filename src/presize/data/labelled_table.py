"""Tables of pictures and labels, one picture a row: the file, its label, perhaps `is_valid`."""

from pathlib import Path as AnyPath
from typing import TYPE_CHECKING

from presize.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

VALID = "is_valid"
ENDINGS = (".csv", ".tsv")
_FLAGS = {"true": True, "1": True, "1.0": True, "yes": True}
_FLAGS |= {"false": False, "0": False, "0.0": False, "no": False}


def read_labelled(file: str | AnyPath) -> "pd.DataFrame":
    """Return a table of pictures and labels, as text; the column `is_valid` as True and False.

    The first column names the files, relative to the folder of the table, the second one their
    labels. Columns are separated by tabs in a file whose name ends in .tsv, else by commas.

    Raises:
        DataError: it is no such table, or `is_valid` holds something else than True and False.
    """
    import pandas as pd

    tabs = AnyPath(file).suffix.lower() == ".tsv"
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, sep="\t" if tabs else ",")
    except ValueError as error:  # also what pandas raises of files that are empty, or no text
        raise DataError(
            f"The file `{file}` is no table of pictures and labels ({'TSV' if tabs else 'CSV'}): "
            f"{error}. Give a folder with a subfolder for each class, or such a table."
        ) from error
    if len(table.columns) < 2:
        raise DataError(
            f"The table `{file}` has {len(table.columns)} column, but it takes two: the files, "
            "relative to the table's folder, and their labels."
        )
    if VALID in table.columns:
        table[VALID] = [_flag(value, file) for value in table[VALID]]
    return table


def _flag(value: str, file: str | AnyPath) -> bool:
    flag = _FLAGS.get(value.strip().lower())
    if flag is None:
        raise DataError(
            f"The column `{VALID}` of `{file}` says with True or False (or 1 or 0) which pictures "
            f"are for validation, but has {value!r}."
        )
    return flag
