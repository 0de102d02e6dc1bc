"""What the request under way has spent on the database: how many statements, and the seconds they took.

A request is served by one thread, up to the head of its answer, so the figures are the thread's own.
"""

import threading
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, event

from app.core import prepared


class _Spent(threading.local):
    statements = 0
    seconds = 0.0


spent = _Spent()


def start_anew() -> None:
    """Count from nothing: a request begins."""
    spent.statements, spent.seconds = 0, 0.0


def watch(engine: Engine) -> None:
    """Count what is sent by ``engine``, by one event around a statement: a pair before and after it costs twice."""
    event.listen(engine, "do_execute", _execute)
    event.listen(engine, "do_executemany", _execute_many)


def _execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    started = perf_counter()
    try:
        prepared.send(cursor, statement, parameters, context)
    finally:
        _add(started)
    return True  # It is done, and not left to SQLAlchemy, which would do the same.


def _execute_many(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    started = perf_counter()
    try:
        context.dialect.do_executemany(cursor, statement, parameters, context)
    finally:
        _add(started)
    return True


def _add(started: float) -> None:
    spent.statements += 1
    spent.seconds += perf_counter() - started
