"""The log: one line for each request and each event, as JSON in production and readable in development."""

import json
import logging
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
from flask import Flask, request

from app.core.headers import request_id

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

access_log = logging.getLogger("app.access")

BUILT_IN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line; what a call gives as ``extra`` becomes fields of it."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line for ``record``."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in record.__dict__.items() if key not in BUILT_IN},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z).decode()
        except TypeError:  # It refuses half a character, and an integer of more than 64 bits.
            return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """A readable line, with the id of the request at its end."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s  [%(request_id)s]", "%H:%M:%S")


class RequestIdFilter(logging.Filter):
    """Adds to every record the id of the request under way, or of the one that has asked for the job under way."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through."""
        record.request_id = request_id()
        return True


def init_app(app: Flask) -> None:
    """Log to standard error, and write a line for every request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if app.config["FLASK_ENV"] == "production" else TextFormatter())
    handler.addFilter(RequestIdFilter())
    for name, level in (("app", app.config["LOG_LEVEL"]), ("celery", "WARNING")):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = app.testing  # so that pytest can catch it
    app.wsgi_app = _logged(app.wsgi_app)  # type: ignore[method-assign, assignment]
    # What no line shows need not be found out for each of them: https://docs.python.org/3/howto/logging.html#optimization
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def _logged(serve: "WSGIApplication") -> "WSGIApplication":
    """Write a line for each answer of ``serve``, when its head is ready."""

    def logged(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started = time.perf_counter()

        def start(status: str, *args: Any) -> Any:
            _log_request(environ, int(status[:3]), round((time.perf_counter() - started) * 1000, 1))
            return start_response(status, *args)

        return serve(environ, start)

    return logged


def _log_request(environ: "WSGIEnvironment", status: int, milliseconds: float) -> None:
    rule = request.url_rule
    method, path = environ["REQUEST_METHOD"], quote(environ["PATH_INFO"].encode("latin-1"))
    facts = {"method": method, "route": rule.rule if rule else None, "status": status, "ms": milliseconds}
    access_log.info("%s %s %d %.1f ms", method, path, status, milliseconds, extra=facts)
