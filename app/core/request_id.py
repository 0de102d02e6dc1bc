"""The id of the request under way, by which it is found in the log."""

from flask import g, has_app_context, has_request_context, request

NAME = "agora.request_id"


def request_id() -> str | None:
    """Return the id of the request under way; in the background, of the one that has asked for what is done."""
    if has_request_context():
        return request.environ.get(NAME)
    return g.get("request_id") if has_app_context() else None
