"""The errors that the server answers before the app is asked, in the one shape of errors."""

import json
import socket
import uuid
from http import HTTPStatus

import gunicorn.util

from app.core.errors import AppError
from app.core.http.headers import SECURITY

MALFORMED = AppError("The request is not well-formed HTTP, or its head is too large.", code="malformed_request")


def write_error(connection: socket.socket, status: int, _reason: str, _message: str) -> None:
    """Refuse what is not HTTP, in place of Gunicorn's own page, which quotes the request."""
    _write(connection, status, MALFORMED)


def refuse(connection: socket.socket, error: AppError) -> None:
    """Answer with ``error``, and announce that the connection ends."""
    _write(connection, error.status, error)


def _write(connection: socket.socket, status: int, error: AppError) -> None:
    request_id = uuid.uuid4().hex
    reason = HTTPStatus(status).phrase
    words = {"error": reason, "message": error.message, "code": error.code, "request_id": request_id}
    body = json.dumps(words).encode() + b"\n"
    headers = SECURITY | {
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "X-Request-ID": request_id,
        **error.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    gunicorn.util.write_nonblock(connection, f"HTTP/1.1 {status} {reason}\r\n{head}\r\n".encode() + body)
