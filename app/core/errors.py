"""The errors, and the one door through which every error leaves: ours, Flask's and the database's.

The shape is ``{"error", "message", "code", "request_id"}`` and, for what did not validate, ``"errors"``; to a client
that accepts ``application/problem+json`` it is the same in the words of RFC 9457.
"""

import errno
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from flask import Flask, Response, current_app, request
from sqlalchemy import exc as sql
from werkzeug.exceptions import HTTPException

from app.core import constraints
from app.core.headers import request_id

log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"
TRY_AGAIN = {"Retry-After": "1"}


class AppError(Exception):
    """An answer that is not the wished-for one.

    ``message`` is for a person, ``code`` for a program, ``errors`` maps fields to what is wrong with them.
    ``keeps_changes`` is for the few errors whose trace must survive: the unit of work commits before it raises.
    """

    status: ClassVar[int] = 500
    code = "internal_error"
    message = "Something went wrong on our side. The request_id helps us to find out what."

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        errors: Mapping[str, list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        keeps_changes: bool = False,
    ) -> None:
        self.message = message or self.message
        super().__init__(self.message)
        self.code = code or self.code
        self.errors = errors
        self.headers = dict(headers or {})
        self.keeps_changes = keeps_changes


class BadRequest(AppError):
    """Malformed or unknown input."""

    status = 400
    code = "bad_request"
    message = "The request is malformed."


class ValidationFailed(BadRequest):
    """Input that does not fit its schema."""

    code = "validation_failed"
    message = "Some fields are not valid."


class Unauthorized(AppError):
    """No credentials, or bad ones (RFC 6750, section 3)."""

    status = 401
    code = "unauthorized"
    message = "Sign in: this needs a valid access token in the Authorization header."

    def __init__(self, message: str | None = None, **kwargs: Any) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"}, **kwargs)


class Forbidden(AppError):
    """A known caller without the permission."""

    status = 403
    code = "forbidden"
    message = "You may not do this."


class NotFound(AppError):
    """No such thing, or one that this caller may not know of."""

    status = 404
    code = "not_found"
    message = "There is nothing here."


class Conflict(AppError):
    """The state forbids it."""

    status = 409
    code = "conflict"
    message = "Something has changed meanwhile. Look again, then try again."


class Gone(AppError):
    """Something that was here, and is kept no longer."""

    status = 410
    code = "gone"
    message = "This is kept no longer."


class PreconditionFailed(AppError):
    """If-Match names another state of the resource than the present one."""

    status = 412
    code = "precondition_failed"
    message = "It has changed since you have read it. Read it again."


class RangeNotSatisfiable(AppError):
    """A part of something that ends before the part begins (RFC 9110, section 15.5.17)."""

    status = 416
    code = "range_not_satisfiable"
    message = "It has fewer bytes than that."

    def __init__(self, size: int) -> None:
        super().__init__(headers={"Content-Range": f"bytes */{size}"})


class Unprocessable(AppError):
    """A well-formed request that contradicts an earlier one."""

    status = 422
    code = "unprocessable"
    message = "This contradicts an earlier request."


class PayloadTooLarge(AppError):
    """A body above the limit."""

    status = 413
    code = "payload_too_large"
    message = "The body is too large."


class UnsupportedMediaType(AppError):
    """A body that is not what the endpoint reads."""

    status = 415
    code = "unsupported_media_type"
    message = "Send the body as application/json in UTF-8, not compressed."


class ServiceUnavailable(AppError):
    """A part that the request cannot do without is away or overloaded for the moment."""

    status = 503
    code = "unavailable"
    message = "The service is busy or a part of it is away. Try again in a moment."

    def __init__(self, message: str | None = None, **kwargs: Any) -> None:
        super().__init__(message, headers=TRY_AGAIN, **kwargs)


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
    """Give what is said of an error that may be gone at the next try, for a part is away or full; None for others."""
    match error:
        case ServiceUnavailable():
            return error
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
    """Tell in the field's words what a constraint's ``info`` says about its violation; without one, a 409."""
    declared = constraints.declared_error(error)
    if declared is None:
        log.warning("A constraint without words of its own was broken", exc_info=error)
        return Conflict()
    return Conflict(declared["message"], code=declared["code"], errors={declared["field"]: [declared["message"]]})


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
    response: Response = current_app.response_class(
        current_app.json.dumps(body), status=error.status, headers=error.headers, mimetype=mimetype
    )
    return response


def init_app(app: Flask) -> None:
    """Send every exception through this door."""
    app.register_error_handler(Exception, error_response)
