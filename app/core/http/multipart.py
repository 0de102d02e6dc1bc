"""A body of multipart/form-data with exactly one file (RFC 7578), read as a stream into a file on disk.

The first thing that is wrong ends the reading; what is kept in memory is a chunk of the body, whatever its size.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from tempfile import TemporaryFile
from typing import IO
from unicodedata import category

from flask import current_app, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import (
    BLANK_LINE_RE,
    NEED_DATA,
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    State,
)

from app.core.errors import PayloadTooLarge, UnsupportedMediaType, ValidationFailed
from app.core.http.request_body import MULTIPART_OVERHEAD, MULTIPART_TYPE, body_chunks, is_encoded

FIELD = "file"
NAME_LENGTH = 255
MAX_PART_HEADERS = 8192  # bytes, as Gunicorn takes them of a request's own headers
MAX_BOUNDARY = 200  # characters; RFC 2046, section 5.1.1, allows 70, and some clients make longer ones
# What turns the direction of text around, so that "exe.png" can end in another suffix than it shows.
BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # controls, halves of characters, breaks of lines


@dataclass
class Upload:
    """A file that was sent: its bytes, on disk until the end of the block, the cleaned name, size and digest."""

    content: IO[bytes]
    name: str = ""
    size: int = 0
    sha256: str = ""


def invalid(reason: str) -> ValidationFailed:
    """Make the refusal of a body that is not exactly one file."""
    return ValidationFailed(errors={FIELD: [reason]})


@contextmanager
def receive_file() -> Iterator[Upload]:
    """Read the request's body, and return its one file.

    Raises UnsupportedMediaType, PayloadTooLarge, ValidationFailed (naming ``file``), or BadRequest for a body that
    breaks off.
    """
    boundary = _boundary()
    with TemporaryFile() as content:
        upload = Upload(content)
        _write(upload, _events(boundary))
        content.seek(0)
        yield upload


def _boundary() -> bytes:
    mimetype, options = parse_options_header(request.headers.get("Content-Type"))
    if not (mimetype or request.content_length or "Transfer-Encoding" in request.headers):
        raise invalid("Is missing: the request has no body.")
    if mimetype.lower() != MULTIPART_TYPE or is_encoded():
        raise UnsupportedMediaType("Send the file as multipart/form-data, not compressed.")
    boundary = options.get("boundary", "").encode()
    if not 1 <= len(boundary) <= MAX_BOUNDARY:
        raise invalid("The Content-Type has no valid boundary.")
    return boundary


def _events(boundary: bytes) -> Iterator[Event]:
    """Return the parts of the body as they come in."""
    decoder = MultipartDecoder(boundary, max_form_memory_size=2 * MULTIPART_OVERHEAD)
    try:
        for chunk in body_chunks(current_app.config["MAX_UPLOAD_SIZE"] + MULTIPART_OVERHEAD):
            decoder.receive_data(chunk)
            while (event := _next_event(decoder)) is not NEED_DATA:
                yield event
        decoder.receive_data(None)
        while not isinstance(event := _next_event(decoder), Epilogue):
            yield event
    except RequestEntityTooLarge:
        raise PayloadTooLarge from None
    except ValueError:
        raise invalid("The body is not well-formed multipart/form-data.") from None


def _next_event(decoder: MultipartDecoder) -> Event:
    """Return what comes next in a body. The headers of a part are measured before they are parsed."""
    is_long = decoder.state is State.PART and len(decoder.buffer) > MAX_PART_HEADERS
    if is_long and not BLANK_LINE_RE.search(decoder.buffer, 0, MAX_PART_HEADERS):
        raise invalid(f"The headers of a part have at most {MAX_PART_HEADERS} bytes.")
    return decoder.next_event()


def _write(upload: Upload, events: Iterator[Event]) -> None:
    digest, most = sha256(), current_app.config["MAX_UPLOAD_SIZE"]
    for event in events:
        match event:
            case File(name=name) if name == FIELD and not upload.name:
                upload.name = clean_name(event.filename)
            case Field() | File():
                raise invalid(f"Send exactly one file, as the field {FIELD}, and nothing else.")
            case Data():
                upload.size += upload.content.write(event.data)
                digest.update(event.data)
        if upload.size > most:
            raise PayloadTooLarge(f"A file has at most {most} bytes.")
    if not upload.size:
        raise invalid("Is empty." if upload.name else "Is missing.")
    upload.sha256 = digest.hexdigest()


def clean_name(sent: str) -> str:
    """Return a file's name as it was sent, without folders, and without what cannot be seen or misleads the eye."""
    name = re.split(r"[/\\]", sent)[-1]
    name = "".join(c for c in name if category(c) not in UNPRINTABLE and c not in BIDI).strip()
    return FIELD if name in ("", ".", "..") else name[:NAME_LENGTH]
