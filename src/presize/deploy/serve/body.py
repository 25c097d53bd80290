"""The pictures of a request, read as they come in, and no further than the limits allow."""

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from presize.deploy.serve.errors import ClientGone, Refused, busy
from presize.deploy.serve.settings import ServeSettings

MULTIPART = "multipart/form-data"
RAW = "application/octet-stream"
FIELDS = ("file", "files")
_LONGEST_NAME = 255
_PARTS_BESIDE = 8  # parts of a form that are no pictures: a file input that was left empty


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it came: its bytes, and the name of its file, where the client gave one."""

    data: bytes
    name: str | None = None


class Budget:
    """The bytes of all requests together: so many clients with large pictures fill no memory.

    Args:
        most: bytes that may be held at the same time.
    """

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0

    def take(self, n: int) -> None:
        """Count bytes in.

        Raises:
            Refused: there are too many.
        """
        if self.held + n > self.most:
            raise busy("busy", "The server holds as many large requests as it can. Ask again soon.")
        self.held += n

    def give(self, n: int) -> None:
        """Count bytes out."""
        self.held -= n


class Body:
    """The body of a request. It counts on the budget until it is closed.

    Args:
        request: whose body it is.
        settings: the limits.
        budget: that it counts on.
    """

    def __init__(self, request: Request, settings: ServeSettings, budget: Budget) -> None:
        self.request, self.settings, self.budget = request, settings, budget
        self.size = 0

    async def pictures(self) -> list[Picture]:
        """Return the pictures of the request, at least one.

        Raises:
            Refused: the body is too large, too slow, of another kind, or holds no picture.
            ClientGone: the connection was closed.
        """
        self._check_head()
        form = _Form(self._boundary(), self.settings) if self._kind() == MULTIPART else None
        parts = bytearray()
        try:
            async with asyncio.timeout(self.settings.body_timeout):
                async for chunk in self._chunks():
                    if form is None:
                        parts += chunk
                    else:
                        form.feed(chunk)
        except TimeoutError:
            raise Refused(
                408,
                "too_slow",
                f"The request did not come in within {self.settings.body_timeout:g} seconds.",
            ) from None
        found = [Picture(bytes(parts))] if form is None else form.finish()
        found = [picture for picture in found if picture.data]
        if not found:
            raise Refused(
                422,
                "no_picture",
                "The request holds no picture. Send one as the body, with a Content-Type such as "
                f"image/jpeg, or several as parts `file` of {MULTIPART}.",
            )
        return found

    def close(self) -> None:
        """Count the body out."""
        self.budget.give(self.size)
        self.size = 0

    async def _chunks(self) -> Any:
        more = True
        while more:
            message: MutableMapping[str, Any] = await self.request.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk, more = message.get("body", b""), message.get("more_body", False)
            if self.size + len(chunk) > self.settings.max_body:
                raise self._too_large()
            self.budget.take(len(chunk))
            self.size += len(chunk)
            yield chunk

    def _check_head(self) -> None:
        headers = self.request.headers
        length = headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > self.settings.max_body):
            raise self._too_large()
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Refused(
                415,
                "unsupported_encoding",
                "The body is compressed (Content-Encoding). Pictures are already: send them as "
                "they are.",
            )
        kind = self._kind()
        if kind not in (MULTIPART, RAW) and not kind.startswith("image/"):
            raise Refused(
                415,
                "unsupported_media_type",
                f"The body is of the kind `{kind[:80]}`, but image/…, {RAW} or {MULTIPART} is "
                "taken. With curl: --data-binary @cat.jpg -H 'Content-Type: image/jpeg', or "
                "--form file=@cat.jpg.",
            )

    def _too_large(self) -> Refused:
        return Refused(
            413,
            "body_too_large",
            f"The request is larger than {self.settings.max_body / 1e6:g} MB. Send smaller or "
            "fewer pictures.",
        )

    def _kind(self) -> str:
        given = self.request.headers.get("content-type", RAW)
        return given.partition(";")[0].strip().lower()

    def _boundary(self) -> bytes:
        _, options = parse_options_header(self.request.headers.get("content-type"))
        boundary = options.get(b"boundary", b"")
        if not 0 < len(boundary) <= 70:
            raise _bad_form("its Content-Type has no boundary of 1 to 70 characters")
        return boundary


class _Form:
    """Puts the parts of a form together, while it comes in.

    Args:
        boundary: between the parts.
        settings: how many there may be.
    """

    def __init__(self, boundary: bytes, settings: ServeSettings) -> None:
        self._settings = settings
        self._found: list[Picture] = []
        self._n_parts = 0
        self._ended = False
        self._data = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value = bytearray(), bytearray()
        self._name: str | None = None
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._add,
                "on_part_end": self._end,
                "on_header_field": self._add_field,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._named,
                "on_end": self._finished,
            },
        )

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _bad_form("it is not put together as one") from error

    def finish(self) -> list[Picture]:
        """Return the pictures, when all has come."""
        if not self._ended:
            raise _bad_form("its last boundary is missing")
        return self._found

    def _begin(self) -> None:
        self._n_parts += 1
        self._data, self._headers, self._name = bytearray(), {}, None
        if self._n_parts > self._settings.max_files + _PARTS_BESIDE:
            raise self._too_many()

    def _add_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def _named(self) -> None:
        # As latin-1, which the parser turns back into the bytes that came: UTF-8, of browsers.
        given = self._headers.get(b"content-disposition", b"").decode("latin-1")
        _, options = parse_options_header(given)
        file = options.get(b"filename")
        field = _text(options.get(b"name", b""))
        if file is None and field not in FIELDS:
            raise Refused(
                422,
                "unexpected_field",
                f"The form has a part `{field[:80]}` that is no file. Name pictures `file`; top "
                "and heat_map stand in the address: /predict?top=3.",
            )
        self._name = None if not file else _file_name(_text(file))

    def _add(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def _end(self) -> None:
        if self._data:
            self._found.append(Picture(bytes(self._data), self._name))
            if len(self._found) > self._settings.max_files:
                raise self._too_many()
        self._data = bytearray()

    def _finished(self) -> None:
        self._ended = True

    def _too_many(self) -> Refused:
        return Refused(
            413,
            "too_many_files",
            f"The request holds more than {self._settings.max_files} pictures. Send them in "
            "several requests.",
        )


def _bad_form(why: str) -> Refused:
    return Refused(400, "bad_multipart", f"The body is no {MULTIPART} that can be read: {why}.")


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _file_name(given: str) -> str:
    """Return the last part of a name that a client gave, without what cannot be shown."""
    last = given.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:_LONGEST_NAME]
