"""A check from the collected entries to the report."""

import time

from presize.core.errors import DataError
from presize.data.check.copies import find_copies
from presize.data.check.entries import Collection
from presize.data.check.judge import findings_of
from presize.data.check.report import DataReport
from presize.data.check.scan import scan
from presize.data.check.statistics import statistics_of


def check(data: Collection, *, alike: bool, threads: int | None, show: bool) -> DataReport:
    """Check a data set; see `presize.data.check.folder.check_folder` for the options.

    Raises:
        DataError: there are no pictures.
    """
    if not data.entries:
        where = "" if data.root is None else f" in `{data.root}`"
        raise DataError(f"There are no pictures to check{where}.")
    started = time.perf_counter()
    seen = scan(data.entries, threads=threads, show=show)
    copies = find_copies(seen, alike=alike, show=show)
    counts = statistics_of(data, seen)
    return DataReport(
        data=data,
        scan=seen,
        statistics=counts,
        copies=copies,
        findings=findings_of(data, seen, counts, copies),
        seconds=time.perf_counter() - started,
    )
