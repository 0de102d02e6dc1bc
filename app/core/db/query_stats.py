"""What the request under way has spent on the database: how many statements, and the seconds they took.

A request is served by one thread, up to the head of its answer, so the figures are the thread's own.
"""

import threading
from time import perf_counter


class _Spent(threading.local):
    statements = 0
    seconds = 0.0


spent = _Spent()


def start_anew() -> None:
    """Count from nothing: a request begins."""
    spent.statements, spent.seconds = 0, 0.0


def add(started: float) -> None:
    """Count a statement that was sent at ``started``, as perf_counter() tells the time, and is answered now."""
    spent.statements += 1
    spent.seconds += perf_counter() - started
