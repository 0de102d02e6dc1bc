"""Answers that stream stored bytes: whole or in part (RFC 9110, section 14), in constant memory."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from flask import Response, current_app, request
from werkzeug.http import dump_options_header

from app.core.clients import storage
from app.core.errors import RangeNotSatisfiable
from app.core.http import conditional

if TYPE_CHECKING:
    from obstore import ReadableFile

CHUNK_SIZE = 65_536  # bytes
# One range. A list of them, or another unit, is not understood, and so the whole is given (RFC 9110, section 14.2).
RANGE = re.compile("bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")


def stored_file(key: str, *, size: int, entity_tag: str, headers: Mapping[str, str]) -> Response:
    """Answer with what is stored under ``key``, of ``size`` bytes, or with the part of it that was asked for.

    A client that has it already gets a 304. Raises RangeNotSatisfiable, ServiceUnavailable, or NotFound.
    """
    response: Response = current_app.response_class(status=304, headers=dict(headers))
    response.set_etag(entity_tag)
    if conditional.is_known(entity_tag):
        del response.headers["Content-Type"]
        return response
    part = _part_asked_for(size, entity_tag)
    response.status_code = 200 if part is None else 206
    response.accept_ranges = "bytes"
    sent = range(size) if part is None else part
    if part is not None:
        response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    if request.method == "GET":
        response.response = _chunks(storage.open_file(key), sent)
    response.content_length = len(sent)
    return response


def disposition(kind: str, name: str) -> str:
    """Name the file that is saved (RFC 6266), for clients that know only ASCII, too. ``kind``: inline or attachment."""
    if name.isascii():
        return dump_options_header(kind, {"filename": name})
    simple = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return dump_options_header(kind, {"filename": simple, "filename*": f"UTF-8''{quote(name, safe='')}"})


def _part_asked_for(size: int, entity_tag: str) -> range | None:
    """Return the bytes that a Range names; None for the whole. One that is out of date asks for the whole."""
    asked = RANGE.fullmatch(request.headers.get("Range", ""))
    if request.method != "GET" or not asked or request.headers.get("If-Range") not in (None, f'"{entity_tag}"'):
        return None
    first, last, suffix = asked.groups()
    if suffix is not None:
        part = range(max(0, size - int(suffix)), size)
    else:
        part = range(int(first), min(int(last) + 1, size) if last else size)
        if last and int(last) < int(first):
            return None  # No range at all (RFC 9110, section 14.1.1).
    if not part:
        raise RangeNotSatisfiable(size)
    return part


def _chunks(file: "ReadableFile", part: range) -> Iterator[bytes]:
    file.seek(part.start)
    left = len(part)
    while left and (chunk := bytes(file.read(min(CHUNK_SIZE, left)))):
        left -= len(chunk)
        yield chunk
