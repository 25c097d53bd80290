"""Fetches one file over the network: goes on where a connection broke, and checks what came.

While it comes, the file is `name.part`; beside it `name.part.json` says which version of the file
the server had begun to send. Only bytes of that same version are ever joined.
"""

import hashlib
import http.client
import json
import re
import shutil
import ssl
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from presize.core.errors import DownloadError
from presize.data.progress import FetchBar, fetching

_CHUNK = 1 << 18  # bytes read at a time
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # answers that may change by themselves


class _Interrupted(Exception):
    """The transfer broke off; another try may bring the rest."""


class _Unreachable(Exception):
    """No connection could be made."""


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    timeout: float = 30.0,
    retries: int = 4,
    progress: bool = True,
) -> None:
    """Fetch the file at `url` as `target`, in the place of what is there once all is checked.

    A transfer that broke off, also in an earlier run, goes on where it stopped if the server
    still has the same version of the file.

    Args:
        url: http, https, ftp or file URL.
        target: file to write; its folder is made.
        sha256: what the SHA-256 of the file must be, as hexadecimal digits.
        size: how many bytes it must have.
        timeout: seconds without a byte after which a connection counts as broken.
        retries: how often in a row a transfer that brought nothing new is tried again.
        progress: show a bar.

    Raises DownloadError if the file cannot be had, or is not the one expected.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(target)
    with fetching(target.name, show=progress) as bar:
        transfer = _Transfer(url, part, size, timeout, retries, bar)
        joined = transfer.run()
        try:
            check_file(part.file, url, sha256=sha256, size=size)
        except DownloadError:
            part.discard()
            if not joined:
                raise
            # The pieces may not have belonged together: once more, from the start.
            transfer.run()
            check_file(part.file, url, sha256=sha256, size=size)
    part.finish(target)


def check_file(
    file: Path, source: object, *, sha256: str | None = None, size: int | None = None
) -> None:
    """Raise DownloadError unless `file` has this length and SHA-256; None is not checked."""
    found = file.stat().st_size
    if size is not None:
        _check_size(found, size, source)
    if sha256 is None:
        return
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != sha256.strip().lower():
        raise DownloadError(
            f"{source} has the SHA-256 {digest}, expected {sha256}: it is another file, or it was "
            f"damaged on the way. It is not used."
        )


def _check_size(found: int, wanted: int, source: object) -> None:
    if found != wanted:
        raise DownloadError(
            f"{source} has {found} bytes, expected {wanted}. It is not used; if the file was "
            f"replaced on purpose, give its new length: size={found}."
        )


class _Part:
    """The part of a file that is there, and the version of the file that it belongs to."""

    def __init__(self, target: Path) -> None:
        self.file = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")

    @property
    def length(self) -> int:
        """Number of bytes that are there."""
        return self.file.stat().st_size if self.file.exists() else 0

    def version(self, url: str) -> dict[str, Any]:
        """Return the version begun; empty if there is none, or of another URL."""
        try:
            note: dict[str, Any] = json.loads(self._note.read_text())
        except (OSError, ValueError):
            return {}
        return note if note.get("url") == url else {}

    def begin(self, version: dict[str, Any]) -> None:
        """Start with a version, from nothing."""
        self.discard()
        self._note.write_text(json.dumps(version))

    def discard(self) -> None:
        """Forget all that is there."""
        self.file.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        """Make the part the file."""
        self.file.replace(target)
        self._note.unlink(missing_ok=True)


class _Transfer:
    """Brings one part to its end over as many connections as it takes."""

    def __init__(
        self,
        url: str,
        part: _Part,
        size: int | None,
        timeout: float,
        retries: int,
        bar: FetchBar,
    ) -> None:
        self.url, self.part, self.size = url, part, size
        self.timeout, self.retries, self.bar = timeout, retries, bar

    def run(self) -> bool:
        """Fetch until the part is whole; return True if it is joined from several transfers."""
        begun = most = self.part.length
        failures = 0
        while True:
            try:
                return self._connect()
            except (_Interrupted, _Unreachable) as fault:
                failures = 0 if self.part.length > most else failures + 1
                most = max(most, self.part.length)
                # Who is offline from the start wants to know at once, not after the last retry.
                offline = isinstance(fault, _Unreachable) and most == begun
                if offline or failures > self.retries:
                    raise DownloadError(f"{self.url} could not be downloaded: {fault}.") from fault
                time.sleep(min(0.25 * 2**failures, 8.0))

    def _connect(self) -> bool:
        """Fetch over one connection; name what goes wrong by what can be done about it."""
        try:
            return self._fetch()
        except HTTPError as fault:
            if fault.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                self.part.discard()
            elif fault.code not in _PASSING:
                raise DownloadError(
                    f"{self.url} could not be downloaded: the server answered {fault.code} "
                    f"{fault.reason}."
                ) from fault
            raise _Interrupted(f"the server answered {fault.code} {fault.reason}") from fault
        except URLError as fault:
            raise _Unreachable(fault.reason) from fault
        except (http.client.InvalidURL, ValueError) as fault:
            raise DownloadError(f"{self.url!r} is not a URL to fetch: {fault}.") from fault
        except (TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException) as fault:
            raise _Interrupted(
                f"the connection broke ({str(fault) or type(fault).__name__})"
            ) from fault

    def _fetch(self) -> bool:
        """Fetch what is missing; return True if the part had bytes of an earlier transfer."""
        known = self.part.version(self.url)
        start = self.part.length if any(known.get(o) for o in _VALIDATORS) else 0
        if start and start == known.get("total"):
            return True
        request = Request(self.url, headers=_headers(start, known))
        with urlopen(request, timeout=self.timeout) as response:
            found = _version(self.url, response)
            if start and response.status == HTTPStatus.PARTIAL_CONTENT:
                if not _continues(found, known, start):
                    self.part.discard()
                    raise _Interrupted("the file changed on the server")
            else:
                start = 0
                self._begin(found)
            self._copy(response, start, found["total"])
        return start > 0

    def _begin(self, found: dict[str, Any]) -> None:
        """Start with a version, if it is the file that is wanted and fits onto the disk."""
        total = found["total"]
        if total is not None:
            if self.size is not None:
                _check_size(total, self.size, self.url)
            free = shutil.disk_usage(self.part.file.parent).free
            if total > free:
                raise DownloadError(
                    f"{self.url} has {total / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free "
                    f"in {str(self.part.file.parent)!r}. Make room, or choose another disk by "
                    f"PRESIZE_HOME or `archive=`."
                )
        self.part.begin(found)

    def _copy(self, response: Any, start: int, total: int | None) -> None:
        """Write what comes to the end of the part."""
        done = start
        with self.part.file.open("ab") as file:
            # read1, not read: what has come is written also where the rest never comes.
            while done != total and (chunk := response.read1(_CHUNK)):
                file.write(chunk)
                done += len(chunk)
                self.bar.at(done, total)
        if total is not None and done < total:
            raise _Interrupted(f"the connection broke after {done} of {total} bytes")


_VALIDATORS = ("etag", "last_modified", "total")


def _headers(start: int, known: dict[str, Any]) -> dict[str, str]:
    """Return the headers that ask for the file from byte `start` on, if it is still the same."""
    headers = {"User-Agent": "presize", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        etag = known.get("etag") or ""
        # A weak tag, W/"...", does not promise the same bytes and may not be asked for.
        same = known.get("last_modified") if not etag or etag.startswith("W/") else etag
        if same:
            headers["If-Range"] = same
    return headers


def _version(url: str, response: Any) -> dict[str, Any]:
    """Return what tells this version of the file from others, and its whole length."""
    ranged = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status == HTTPStatus.PARTIAL_CONTENT and ranged:
        begins, total = int(ranged[1]), ranged[2]
    else:
        begins, total = 0, response.headers.get("Content-Length", "")
    return {
        "url": url,
        "etag": response.headers.get("ETag"),
        "last_modified": response.headers.get("Last-Modified"),
        "total": int(total) if total.isdigit() else None,
        "begins": begins,
    }


def _continues(found: dict[str, Any], known: dict[str, Any], start: int) -> bool:
    """Return True if the answer goes on at `start` with the version that is `known`.

    A partial answer may leave validators out; those that it has must agree.
    """
    agree = all(found[o] is None or found[o] == known.get(o) for o in _VALIDATORS)
    return agree and found["begins"] == start
