"""The media type of a file, found from its content alone: neither its name nor what the client says counts."""

import codecs
import re
from typing import IO

import puremagic

UNKNOWN = "application/octet-stream"
PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")
# What decides against text: no text begins so by chance, and that of a PDF can be plain ASCII.
SIGNATURES = {
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "application/pdf": re.compile(rb"%PDF-"),
}
MEDIA_TYPE = re.compile(r"[a-z]+/[A-Za-z0-9.+-]{1,80}")
NOT_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
HEAD = 4096  # bytes
CHUNK_SIZE = 65_536  # bytes


def sniff(content: IO[bytes], name: str) -> str:
    """Return the media type of ``content``; ``name`` only separates CSV from other text."""
    content.seek(0)
    head = content.read(HEAD)
    for media_type, signature in SIGNATURES.items():
        if signature.match(head):
            return media_type
    if _is_text(content):
        return "text/csv" if name.lower().endswith(".csv") else "text/plain"
    return _by_signature(head)


def _is_text(content: IO[bytes]) -> bool:
    """Return whether all of it is UTF-8 without control characters; a byte order mark may begin it."""
    content.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk := content.read(CHUNK_SIZE):
            if NOT_TEXT.search(decoder.decode(chunk)):
                return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _by_signature(head: bytes) -> str:
    """Return what some known signature says of binary content; pictures have had to show theirs already."""
    try:
        found = str(puremagic.from_string(head, mime=True))
    except (puremagic.PureError, ValueError):
        return UNKNOWN
    return found if MEDIA_TYPE.fullmatch(found) and found not in SIGNATURES else UNKNOWN
