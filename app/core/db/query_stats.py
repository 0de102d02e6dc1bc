"""Query statistics of the request under way: how many statements it has sent, and the seconds that they took.

A request is served by one thread, up to the head of its response, so the figures are the thread's own.
"""

import threading
from time import perf_counter


class _Statistics(threading.local):
    statements = 0
    seconds = 0.0


current = _Statistics()


def reset() -> None:
    """Count from zero: a request begins."""
    current.statements, current.seconds = 0, 0.0


def record(started: float) -> None:
    """Count a statement that was sent at ``started``, as perf_counter() tells the time, and is answered now."""
    current.statements += 1
    current.seconds += perf_counter() - started
