"""Answers in JSON: as they are, without what a dry run has not made, and with where the thing is that was made."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import orjson
from flask import Response
from werkzeug.datastructures import Headers

from app.core.http.json_provider import encode
from app.core.request_state import request_state

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


def json_response(
    value: Any, status: int = 200, *, headers: Mapping[str, str] | None = None, media_type: str = "application/json"
) -> Response:
    """Make a JSON answer. Raises TypeError for what JSON cannot say."""
    return JsonResponse(encode(value), status, headers, content_type=media_type)


def shown_response(shown: Mapping[str, Any], status: int, *, location: str | None) -> Response:
    """Make the answer that shows a resource; ``location`` is where it is, with its fields in braces."""
    headers = {"Location": request_state().prefix + location.format(**shown)} if location else {}
    if status == ACCEPTED:
        headers["Retry-After"] = LOOK_AGAIN
    return json_response(shown, status, headers=headers)


def without_ids(response: Response) -> Response:
    """Take from the answer of a dry run what is not there: the id, the URL and the tag of what would be made."""
    if response.status_code in (CREATED, ACCEPTED):
        response.set_data(encode({**orjson.loads(response.get_data()), "id": None}))
    for name in ("Location", "ETag"):
        response.headers.pop(name, None)
    return response
