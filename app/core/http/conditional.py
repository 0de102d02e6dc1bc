"""Conditional requests (RFC 9110, section 13): entity tags, 304, and 412 decided together with the write.

A tag is a digest of the representation, so it is the same from every method that responds with the same one, and
differs whenever that differs; a row's ``updated_at`` moves on with each change, so it differs after each change too.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from flask import Response, request
from werkzeug.datastructures import ETags

from app.core.errors import PreconditionFailed
from app.core.http.request_body import READING

DIGEST_SIZE = 16  # bytes


def tag_of(body: bytes) -> str:
    """Return the entity tag of a representation, without its quotes."""
    return blake2b(body, digest_size=DIGEST_SIZE).hexdigest()


def tag(response: Response) -> Response:
    """Return ``response`` with its entity tag; on a GET whose tag the client has, as a 304 without a body."""
    entity_tag = tag_of(response.get_data())
    response.set_etag(entity_tag)
    if request.method in READING and is_known(entity_tag):
        response.status_code = 304
        response.set_data(b"")
        del response.headers["Content-Type"]
    return response


def is_known(entity_tag: str) -> bool:
    """Return whether the client has the representation of this tag already."""
    return "HTTP_IF_NONE_MATCH" in request.environ and _names(request.if_none_match, entity_tag)


def is_asked(environ: Mapping[str, Any]) -> bool:
    """Whether the request changes something only if it is still what the client has seen."""
    return "HTTP_IF_MATCH" in environ


def demand_unchanged(current: Response) -> None:
    """Raise PreconditionFailed unless the client's If-Match names the ``current`` representation of the resource."""
    if not _names(request.if_match, tag_of(current.get_data())):
        raise PreconditionFailed


def _names(tags: ETags, entity_tag: str) -> bool:
    """Return whether ``tags`` name this one. A leading ``W/`` is ignored: a proxy that compresses adds it."""
    return bool(tags.star_tag or tags.contains_weak(entity_tag))
