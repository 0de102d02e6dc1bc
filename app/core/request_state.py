"""What the request under way knows about itself: one typed object, and not keys of ``g`` or of the WSGI environ.

A background job and a command have one as well. It lives in Flask's ``g``, and so as long as the context around it.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote

from flask import Flask, g, has_app_context, has_request_context, request
from sqlalchemy import Connection

from app.core.caller import ANONYMOUS, Caller

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")


@dataclass(slots=True)
class RequestState:
    """What a request, a job or a command knows about itself.

    ``request_id``: the name by which it is found in the log; that of a job is the request's that has asked for it.
    ``caller``: who is asking, as soon as that is known.
    ``cache_control``: who may keep a copy of the response.
    ``is_dry_run``: the response is as that of a write, of which no trace is left.
    ``connection``: the database connection that is worked on; None until the first statement.
    ``after_commit``: what is done when the unit of work under way has committed; None outside of one.
    ``prefix``: the path below which a proxy shows this service, percent-encoded; empty where it is the root.
    """

    request_id: str | None = None
    caller: Caller = ANONYMOUS
    cache_control: str = "no-store"
    is_dry_run: bool = False
    connection: Connection | None = None
    after_commit: list[Callable[[], None]] | None = None
    prefix: str = ""


def init_app(app: Flask) -> None:
    """Give each request a state of its own, before anything else looks at the request."""
    app.before_request(_begin)


def request_state() -> RequestState:
    """Return the state of the request, the job or the command under way."""
    try:
        return cast(RequestState, g.request_state)
    except AttributeError:
        state = g.request_state = _of_request() if has_request_context() else RequestState()
        return state


def request_id() -> str | None:
    """Return the id of the request under way; in the background, of the one that has asked for what is done."""
    return request_state().request_id if has_app_context() else None


def _begin() -> None:
    """Begin anew where a test sends several requests in one application context, which Flask lets them share."""
    before: RequestState | None = g.get("request_state")
    state = g.request_state = _of_request()
    state.connection = before.connection if before else None


def _of_request() -> RequestState:
    """Return the state of a request that begins; its id is the client's, or of the proxy before us, if one was sent."""
    environ = request.environ
    sent: str = environ.get("HTTP_X_REQUEST_ID", "")
    prefix = quote("/" + request.root_path.strip("/")) if environ.get("SCRIPT_NAME") else ""
    return RequestState(sent if REQUEST_ID.fullmatch(sent) else secrets.token_hex(16), prefix=prefix)
