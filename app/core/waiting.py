"""How long the request under way has waited for a thread, which counts as a part of its wait for locks."""

from contextvars import ContextVar

NOTICEABLE = 0.1  # seconds; a shorter wait does not count
SHORTEST_LIMIT = 0.1  # seconds that a request may wait for a lock, however long it has waited for a thread

_waited: ContextVar[float] = ContextVar("waited", default=0.0)


def record_wait(seconds: float) -> None:
    """Note, in the thread that serves a request, for how many ``seconds`` it has waited for that thread."""
    _waited.set(seconds)


def shortened(limit: float) -> float | None:
    """Return the seconds of ``limit`` that are left to wait for locks; None, if all are."""
    waited = _waited.get()
    return max(limit - waited, SHORTEST_LIMIT) if waited > NOTICEABLE else None
