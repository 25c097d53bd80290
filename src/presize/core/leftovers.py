"""Removes what programs that were killed in the middle of writing a file have left beside it."""

import contextlib
import os
import pathlib
import re
import sys


def remove_leftovers(path: pathlib.Path) -> None:
    """Remove the parts `.NAME.PROCESS.part` of a file whose process is no more."""
    name = re.compile(rf"\.{re.escape(path.name)}\.(\d+)\.part")
    with contextlib.suppress(OSError):
        for part in path.parent.iterdir():
            if (match := name.fullmatch(part.name)) and not _is_alive(int(match[1])):
                part.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":  # os.kill would send Ctrl-C; but no file that is open is removed
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        pass
    return True
