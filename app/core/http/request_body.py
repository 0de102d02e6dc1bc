"""Request body parsing, and the checks that a request passes before any handler sees it.

Path and query are strict UTF-8 without NUL; a body is JSON in UTF-8, of bounded size, depth and number of values,
without what readers of JSON understand differently: a byte order mark, duplicate keys, NaN and Infinity, NUL, lone
surrogates (RFC 8259, sections 4 and 8; RFC 7493).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Flask, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header

from app.core.errors import BadRequest, PayloadTooLarge, RequestTimeout, UnsupportedMediaType

MAX_DEPTH = 32
MAX_VALUES = 1000  # in a whole body: members of objects and items of lists; an order of 50 lines has 151
MAX_PARAMETERS = 100  # in a query; a list takes about 40, each of them once
READING = ("GET", "HEAD", "OPTIONS")
JSON_TYPE = "application/json"
MERGE_PATCH_TYPE = "application/merge-patch+json"
MULTIPART_TYPE = "multipart/form-data"
MULTIPART_OVERHEAD = 65_536  # bytes that an upload's body may have beside its file
CHUNK_SIZE = 65_536  # bytes


def init_app(app: Flask) -> None:
    """Check path, query and announced size of every request, before routing errors and handlers."""
    app.before_request(_check_request)


def _check_request() -> None:
    environ = request.environ
    if "HTTP_HOST" not in environ and environ["SERVER_PROTOCOL"] == "HTTP/1.1":  # RFC 9112, section 3.2
        raise BadRequest("The request has no Host.", code="malformed_request")
    path, query = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
    if not (_is_clean(path.encode("latin-1")) and _is_clean(unquote_to_bytes(query.encode("latin-1")))):
        raise BadRequest("The address is not valid UTF-8 text.")
    if query.count("&") >= MAX_PARAMETERS:
        raise BadRequest(f"The query has more than {MAX_PARAMETERS} parameters.", code="too_many_parameters")
    if environ["REQUEST_METHOD"] not in READING and (request.content_length or 0) > _most_announced():
        raise PayloadTooLarge


def _most_announced() -> int:
    """Return the most bytes that a body may announce. What is JSON to its endpoint is held to less when it is read."""
    if request.mimetype == MULTIPART_TYPE:
        return int(current_app.config["MAX_UPLOAD_SIZE"]) + MULTIPART_OVERHEAD
    return int(current_app.config["MAX_CONTENT_LENGTH"])


def _is_clean(raw: bytes) -> bool:
    try:
        return "\0" not in raw.decode("utf-8")
    except UnicodeDecodeError:
        return False


def parse_json(raw: bytes) -> Any:
    """Return the value of the request's ``raw`` body. Raises UnsupportedMediaType or BadRequest."""
    _check_content_type(empty=not raw)
    if len(raw) > MAX_VALUES and _count_values(raw) > MAX_VALUES:
        raise BadRequest(f"The body has more than {MAX_VALUES} values.", code="too_many_values")
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse)
    except UnicodeDecodeError:
        raise UnsupportedMediaType from None
    except (ValueError, RecursionError):
        raise BadRequest("The body is not well-formed JSON.", code="malformed_json") from None
    _check_value(value, depth=1)
    return value


def read_body() -> bytes:
    """Return the body, whether its size was announced or not. Raises PayloadTooLarge.

    Werkzeug cuts a body of unannounced size off at the limit, and takes one that breaks off for whole, without a word:
    so it is let read one byte more, and the length is compared. Raises BadRequest for a body that did not arrive whole.
    """
    limit: int = current_app.config["MAX_CONTENT_LENGTH"]
    request.max_content_length = limit + 1
    with _reading():
        raw = request.get_data()
    if len(raw) > limit:
        raise PayloadTooLarge
    if len(raw) < (request.content_length or 0):
        raise BadRequest("The body is shorter than its Content-Length.")
    return raw


def body_chunks(limit: int) -> Iterator[bytes]:
    """Return the body chunk by chunk, as it comes in: at most ``limit`` bytes.

    Raises PayloadTooLarge, and BadRequest for a body that does not arrive whole.
    """
    request.max_content_length = limit + 1  # So that it is told apart from one that is cut off; see read_body().
    received = 0
    while chunk := _next_chunk():
        received += len(chunk)
        if received > limit:
            raise PayloadTooLarge
        yield chunk
    if received < (request.content_length or 0):
        raise BadRequest("The body is shorter than its Content-Length.")


def _next_chunk() -> bytes:
    with _reading():
        return request.stream.read(CHUNK_SIZE)


@contextmanager
def _reading() -> Iterator[None]:
    """Raise PayloadTooLarge or BadRequest for what a server raises while a body comes in; a time limit passes."""
    try:
        yield
    except RequestTimeout:
        raise
    except RequestEntityTooLarge:
        raise PayloadTooLarge from None
    except Exception as error:  # Whatever the server raises for a transfer that breaks its own rules.
        raise BadRequest("The body could not be read.") from error


def is_encoded() -> bool:
    """Return whether the body is compressed, or else not sent as it is."""
    environ = request.environ
    coding = environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    transfer = environ.get("HTTP_TRANSFER_ENCODING", "chunked").strip().lower()
    return coding not in ("identity", "") or transfer != "chunked"


def _check_content_type(*, empty: bool) -> None:
    if is_encoded():
        raise UnsupportedMediaType
    mimetype, options = parse_options_header(request.environ.get("CONTENT_TYPE"))
    if empty and not mimetype:
        raise BadRequest("The body is missing.", code="malformed_json")
    taken = (JSON_TYPE, MERGE_PATCH_TYPE) if request.method == "PATCH" else (JSON_TYPE,)
    if mimetype.lower() not in taken or options.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType


def _count_values(raw: bytes) -> int:
    """Return how many values a JSON text has, or a little more, at a cost that depends on its length alone.

    They are counted before they are parsed, since to validate and to refuse one takes far longer. Each stands behind a
    comma or an opening bracket; what stands in a string is left out, by cutting the text at the quotes.
    """
    pieces = raw.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')
    outside = b"".join(pieces[::2])
    return sum(map(outside.count, (b",", b"[", b"{")))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


def _refuse(_constant: str) -> Any:
    raise ValueError("not a JSON number")


def _check_value(value: Any, *, depth: int) -> None:
    match value:
        case str():
            _check_text(value)
        case float() if not isfinite(value):
            raise BadRequest("A number is out of range.", code="malformed_json")
        case dict() | list() if depth > MAX_DEPTH:
            raise BadRequest(f"The body nests deeper than {MAX_DEPTH} levels.", code="malformed_json")
        case dict():
            for key, item in value.items():
                _check_text(key)
                _check_value(item, depth=depth + 1)
        case list():
            for item in value:
                _check_value(item, depth=depth + 1)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRequest("A text holds half a character (a lone surrogate).", code="malformed_json") from None
    if "\0" in text:
        raise BadRequest("A text holds a NUL.", code="malformed_json")
