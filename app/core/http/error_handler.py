"""The one error handler, through which every error leaves: ours, Flask's and the database's.

The shape is ``{"error", "message", "code", "request_id"}`` and, for what did not validate, ``"errors"``; to a client
that accepts ``application/problem+json`` it is the same in the words of RFC 9457.
"""

import errno
import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request
from sqlalchemy import exc as sql
from werkzeug.exceptions import HTTPException

from app.core.db import constraints, migrations
from app.core.errors import (
    AppError,
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PayloadTooLarge,
    ServiceUnavailable,
    Unauthorized,
    UnsupportedMediaType,
)
from app.core.http.responses import json_response
from app.core.request_state import request_id

log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"


class _OfStatus(AppError):
    """An error of the framework, told by its status alone: its own text may name a route or a cause."""

    def __init__(self, error: HTTPException) -> None:
        self.status = error.code or 500  # type: ignore[misc]
        name = HTTPStatus(self.status).phrase
        kept = ("Allow", "Retry-After", "WWW-Authenticate")
        headers = {k: v for k, v in error.get_headers() if k in kept}
        super().__init__(f"{name}.", code=name.lower().replace(" ", "_").replace("-", "_"), headers=headers)


_BY_STATUS: dict[int, type[AppError]] = {
    kind.status: kind
    for kind in (BadRequest, Unauthorized, Forbidden, NotFound, Conflict, PayloadTooLarge, UnsupportedMediaType)
}


def _translated(error: Exception) -> AppError:
    match error:
        case AppError():
            return error
        case HTTPException(code=int(status)) if status in _BY_STATUS:
            return _BY_STATUS[status]()
        case HTTPException():
            return _OfStatus(error)
        case sql.IntegrityError():
            return broken_constraint(error)
        case sql.DataError():
            log.error("The database refused a value that the schema had let through", exc_info=error)
            return BadRequest("A value is out of range.")
    unavailable = as_unavailable(error)
    if unavailable is not None:
        log.error("A part of the service is away, overloaded or full: %s", str(error).partition("\n")[0])
        return unavailable
    log.error("Unexpected error", exc_info=error)
    return AppError()


def as_unavailable(error: Exception) -> ServiceUnavailable | None:
    """Return what is said of an error that may be gone at the next try, for a part is away or full; None for others."""
    match error:
        case ServiceUnavailable():
            return error
        case sql.DBAPIError() if migrations.is_missing(error):
            return ServiceUnavailable(
                "The database is not migrated to this version. Its operator has to run: flask db upgrade",
                code="database_not_migrated",
            )
        case sql.OperationalError() | sql.InterfaceError() | sql.TimeoutError():
            return ServiceUnavailable()
        case sql.DBAPIError(connection_invalidated=True):
            return ServiceUnavailable()
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return ServiceUnavailable(
                "There is no room for files for the moment. Try again.", code="storage_unavailable"
            )
    return None


def broken_constraint(error: sql.IntegrityError) -> Conflict:
    """Return what a constraint's ``info`` says about its violation; without one, a 409 in general words."""
    declared = constraints.declared_error(error)
    if declared is None:
        log.warning("A constraint without words of its own was broken", exc_info=error)
        return Conflict()
    return constraints.conflict(declared)


def _shape(error: AppError) -> dict[str, Any]:
    title = HTTPStatus(error.status).phrase
    more = {"errors": error.errors} if error.errors else {}
    if any(kind.partition(";")[0].lower() == PROBLEM and quality > 0 for kind, quality in request.accept_mimetypes):
        words = {"type": "about:blank", "title": title, "status": error.status, "detail": error.message}
    else:
        words = {"error": title, "message": error.message}
    return {**words, "code": error.code, "request_id": request_id(), **more}


def error_response(exception: Exception) -> Response:
    """Make the answer that tells a client of ``exception``."""
    error = _translated(exception)
    body = _shape(error)
    mimetype = PROBLEM if "type" in body else "application/json"
    return json_response(body, error.status, headers=error.headers, media_type=mimetype)


def init_app(app: Flask) -> None:
    """Answer every exception by error_response()."""
    app.register_error_handler(Exception, error_response)
