"""How Gunicorn serves the app. Every figure comes from a setting; see app/config.py."""

import errno
import json
import os
import socket
import sys
import uuid
from typing import Any

import gunicorn.util

from app.cli import welcome
from app.config import ConfigError, load_settings
from app.core.headers import SECURITY
from app.extensions import db

try:
    settings = load_settings()
except ConfigError as error:
    sys.exit(f"Error: {error.format_message()}")

wsgi_app = "wsgi:app"
bind = f"{settings['HOST']}:{settings['PORT']}"  # An IPv6 address has its brackets already.
workers = settings["WEB_CONCURRENCY"]
threads = settings["WEB_THREADS"]
worker_class = "gthread"
timeout = settings["REQUEST_TIMEOUT"]
graceful_timeout = settings["REQUEST_TIMEOUT"]
preload_app = True  # An app that cannot start is one message, not one from each worker for ever.
max_requests = 100_000
max_requests_jitter = 20_000
limit_request_line = 8190
control_socket_disable = True
forwarded_allow_ips = ""  # Which proxies are believed is the setting TRUSTED_PROXIES, and the app's business.
accesslog = None  # The app writes a line for each request, with its id.
loglevel = "warning" if settings["FLASK_ENV"] == "development" else "info"


def write_json_error(connection: socket.socket, status: int, reason: str, _message: str) -> None:
    """Refuse what is not HTTP in the one shape of errors; Gunicorn's own is a page that quotes the request."""
    request_id = uuid.uuid4().hex
    error = {
        "error": reason,
        "message": "The request is not well-formed HTTP, or its head is too large.",
        "code": "malformed_request",
        "request_id": request_id,
    }
    body = json.dumps(error).encode() + b"\n"
    headers = SECURITY | {
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "X-Request-ID": request_id,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    gunicorn.util.write_nonblock(connection, f"HTTP/1.1 {status} {reason}\r\n{head}\r\n".encode() + body)


gunicorn.util.write_error = write_json_error


def on_starting(_server: Any) -> None:
    """Say in one sentence that the port is taken, before Gunicorn tries for five seconds."""
    if "GUNICORN_FD" in os.environ or "LISTEN_PID" in os.environ:
        return  # The socket is handed over, by the server that this one replaces or by systemd.
    family = socket.AF_INET6 if ":" in settings["HOST"] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings["HOST"].strip("[]"), settings["PORT"]))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened ({error.strerror})"
            sys.exit(f"Error: {bind} {reason}. Stop what uses it, or choose another with PORT=8001.")


def when_ready(server: Any) -> None:
    """Say where the service is."""
    app = server.app.wsgi()
    with app.app_context():
        print(welcome(), file=sys.stderr, flush=True)
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()
