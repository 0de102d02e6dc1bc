"""The errors that are answers: each with its status, a code for programs and a message for people."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar

MAX_ERRORS = 20  # that one answer tells
MAX_NAME = 100  # characters of a field's name, which for an unknown one the client has chosen
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
    """Input that does not fit its schema; of many errors the first 20 are told, and how many there are."""

    code = "validation_failed"
    message = "Some fields are not valid."

    def __init__(self, *, errors: Mapping[str, list[str]]) -> None:
        counted = f"{len(errors)} fields are not valid; the first {MAX_ERRORS} are shown."
        shown = {name[:MAX_NAME]: reasons for name, reasons in islice(errors.items(), MAX_ERRORS)}
        super().__init__(counted if len(errors) > MAX_ERRORS else None, errors=shown)


class Unauthorized(AppError):
    """No credentials, or bad ones (RFC 6750, section 3)."""

    status = 401
    code = "unauthorized"
    message = "Sign in: this needs a valid access token, in the Authorization header or as a cookie."

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


class RequestTimeout(AppError):
    """A request that has not arrived in time (RFC 9110, section 15.5.9)."""

    status = 408
    code = "request_timeout"
    message = "The request took too long to arrive."


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
