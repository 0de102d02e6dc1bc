"""The log: one line for each request and each event, as JSON in production and readable in development."""

import json
import logging
import sys
import time
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, g, has_app_context, request

access_log = logging.getLogger("app.access")

BUILT_IN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line; what a call gives as ``extra`` becomes fields of it."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Give the line for ``record``."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in record.__dict__.items() if key not in BUILT_IN},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """A readable line, with the id of the request at its end."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s  [%(request_id)s]", "%H:%M:%S")


class RequestIdFilter(logging.Filter):
    """Adds to every record the id of the request under way, or of the one that has asked for the job under way."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through."""
        record.request_id = g.get("request_id") if has_app_context() else None
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
    app.before_request(_start)
    app.after_request(_log_request)


def _start() -> None:
    g.started = time.perf_counter()


def _log_request(response: Response) -> Response:
    milliseconds = round((time.perf_counter() - g.started) * 1000, 1)
    route = request.url_rule.rule if request.url_rule else None
    access_log.info(
        "%s %s %d %.1f ms",
        request.method,
        quote(request.path),
        response.status_code,
        milliseconds,
        extra={"method": request.method, "route": route, "status": response.status_code, "ms": milliseconds},
    )
    return response
