"""Answers in JSON: as they are, without what a dry run has not made, and with where the thing is that was made."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import orjson
from flask import Response
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CREATED = 201
ACCEPTED = 202  # the answer is a job, which has yet to be done
NOT_MODIFIED = 304
LOOK_AGAIN = "1"  # seconds after which the job is worth a look


class JsonResponse(Response):
    """An answer whose headers are complete and ASCII, whose body is bytes, and that nobody waits for the end of.

    Werkzeug would look through each of the headers once more, and wrap the body twice: 15 of 100 us.
    """

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        """Return the headers as they are; but a 304 has none that tell of a body."""
        return super().get_wsgi_headers(environ) if self.status_code == NOT_MODIFIED else self.headers

    def get_app_iter(self, environ: "WSGIEnvironment") -> Iterable[bytes]:
        """Return the body as it is; HEAD and 304 have none."""
        bare = self.status_code == NOT_MODIFIED or environ["REQUEST_METHOD"] == "HEAD"
        return () if bare else cast(Iterable[bytes], self.response)


def json_response(value: Any, status: int = 200, *, headers: Mapping[str, str] | None = None) -> Response:
    """Make a JSON answer: UTF-8, moments as RFC 3339 with ``Z``."""
    body = orjson.dumps(value, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)
    return JsonResponse(body, status, headers, content_type="application/json")


def shown_response(shown: Mapping[str, Any], status: int, *, location: str | None) -> Response:
    """Make the answer that shows a resource; ``location`` is where it is, with its fields in braces."""
    headers = {"Location": location.format(**shown)} if location else {}
    if status == ACCEPTED:
        headers["Retry-After"] = LOOK_AGAIN
    return json_response(shown, status, headers=headers)


def without_ids(response: Response) -> Response:
    """Take from the answer of a dry run what is not there: the id, the URL and the tag of what would be made."""
    if response.status_code in (CREATED, ACCEPTED):
        response.set_data(orjson.dumps({**orjson.loads(response.get_data()), "id": None}) + b"\n")
    for name in ("Location", "ETag"):
        response.headers.pop(name, None)
    return response
