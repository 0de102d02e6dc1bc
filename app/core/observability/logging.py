"""The log: one line for each request and each event, as JSON in production and readable in development."""

import json
import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
from flask import Flask, request

from app.core.db import query_stats
from app.core.observability import metrics
from app.core.observability.log_targets import handler_for
from app.core.observability.scrubbing import scrubbed
from app.core.request_state import request_id, request_state

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

access_log = logging.getLogger("app.access")

BUILT_IN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line; what a call gives as ``extra`` becomes fields of it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for ``record``."""
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
            return scrubbed(orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z).decode())
        except TypeError:  # It refuses half a character, and an integer of more than 64 bits.
            return scrubbed(json.dumps(line, default=str))


class TextFormatter(logging.Formatter):
    """A readable line, with the id of the request at its end if there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s%(mark)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for ``record``; one that says ``as_it_is`` is meant to show its secrets to a developer."""
        asked_by = getattr(record, "request_id", None)
        record.mark = f"  [{asked_by}]" if asked_by else ""
        line = super().format(record)
        return line if getattr(record, "as_it_is", False) else scrubbed(line)


class RequestIdFilter(logging.Filter):
    """Adds to every record the id of the request under way, or of the one that has asked for the job under way."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through."""
        record.request_id = request_id()
        return True


def init_app(app: Flask) -> None:
    """Log to where LOG_TO says, and write a line for every request."""
    handler = handler_for(app.config["LOG_TO"], size=app.config["LOG_FILE_SIZE"])
    handler.setFormatter(JsonFormatter() if app.config["FLASK_ENV"] == "production" else TextFormatter())
    handler.addFilter(RequestIdFilter())
    for name, level in (("app", app.config["LOG_LEVEL"]), ("celery", "WARNING"), ("gunicorn.error", logging.NOTSET)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = app.testing  # so that pytest can catch it
        if level:
            logger.setLevel(level)  # Gunicorn has set its own.
    app.wsgi_app = _logged(app, app.wsgi_app)  # type: ignore[method-assign, assignment]
    # What no line shows need not be found out for each of them: https://docs.python.org/3/howto/logging.html#optimization
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None


def _logged(app: Flask, serve: "WSGIApplication") -> "WSGIApplication":
    """Count each answer of ``serve`` and write a line for it, when its head is ready."""
    shows_times = app.config["FLASK_ENV"] == "development"

    def logged(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started = time.perf_counter()
        query_stats.reset()

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            seconds = time.perf_counter() - started
            _log_request(app, environ, status=int(status[:3]), seconds=seconds)
            if shows_times:
                headers = [*headers, ("Server-Timing", _server_timing(seconds))]
            return start_response(status, headers, *exc_info)

        return serve(environ, start)

    return logged


def _log_request(app: Flask, environ: "WSGIEnvironment", *, status: int, seconds: float) -> None:
    rule, method, caller = request.url_rule, environ["REQUEST_METHOD"], request_state().caller
    route = rule.rule if rule else None
    app.extensions[metrics.EXTENSION].count(route, method, status=status, seconds=seconds)
    path, milliseconds = quote(environ["PATH_INFO"].encode("latin-1")), round(seconds * 1000, 1)
    facts = {
        "method": method,
        "route": route,
        "status": status,
        "ms": milliseconds,
        "user": caller.id,
        "session": caller.session_id,
        "queries": query_stats.current.statements,
        "query_ms": round(query_stats.current.seconds * 1000, 1),
    }
    access_log.info("%s %s %d %.1f ms", method, path, status, milliseconds, extra=facts)


def _server_timing(seconds: float) -> str:
    """Return the times of a request as browsers show them, https://www.w3.org/TR/server-timing/ (milliseconds)."""
    queries = f'db;dur={query_stats.current.seconds * 1000:.1f};desc="{query_stats.current.statements} queries"'
    return f"total;dur={seconds * 1000:.1f}, {queries}"
