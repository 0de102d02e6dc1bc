"""How many rows a list has: exact up to 10,000, above that up to five seconds old.

Counting costs what reading costs, and on a large table it costs more than the page. So no more than 10,000 rows are
counted for a request whose total is not known yet to be larger. A larger one is kept, and as long as it is asked for,
a thread of the process counts it anew before it is too old: then no request waits for it. Only where that thread
cannot keep up is a total older than five seconds when it is asked for; the request then counts by itself, since a
late answer keeps the contract and a stale one does not.
"""

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any

from sqlalchemy import CompoundSelect, Engine, Select, func, literal_column, select, union_all
from sqlalchemy.exc import SQLAlchemyError

from app.core.db.base import Parts, Query
from app.core.db.engines import READS
from app.core.unit_of_work import execute
from app.extensions import db

log = logging.getLogger(__name__)

EXACT = 10_000
SECONDS = 5.0  # that a total may be old, and that it is kept up after it was asked for
AHEAD = 1.5  # seconds before that, in which it is counted anew
PAUSE = 0.1  # seconds from one look at what is due to the next
CACHE_SIZE = 1_000


@dataclass
class _Total:
    """A number of rows, how it is counted, and the moments when that began and when it was last asked for."""

    engine: Engine
    statement: Select[int]
    found: int
    counted: float
    asked: float


_kept: OrderedDict[Any, _Total] = OrderedDict()
_lock = Lock()
_thread: Thread | None = None


def count(parts: Parts) -> int:
    """Return the number of rows of all ``parts``: in one statement up to EXACT, in two above, in none when it is known.

    Outer joins to another table's key, of which nothing is counted, are left out by the databases themselves.
    """
    key = _key(parts)
    known = _remembered(key)
    if known is not None:
        return known
    ones: list[Query] = [
        part.with_only_columns(literal_column("1").label("one"), maintain_column_froms=True) for part in parts
    ]
    found = _read(_number(union_all(*(select(one.limit(EXACT + 1).subquery()) for one in ones))))
    if found > EXACT:
        found = _count_and_keep(key, _number(union_all(*ones)))
    return found


def _read(statement: Select[int]) -> int:
    return execute(statement).scalar() or 0


def _number(rows: CompoundSelect[Any]) -> Select[int]:
    return select(func.count()).select_from(rows.subquery())


def _key(parts: Parts) -> Any:
    """Tell queries apart by their statements and their values, as SQLAlchemy's own cache does."""
    keys = [part._generate_cache_key() for part in parts]
    if None in keys:
        raise TypeError("the query of a list holds something that SQLAlchemy cannot tell apart")
    values = tuple(repr(parameter.effective_value) for key in keys if key for parameter in key.bindparams)
    return db.engine.url, tuple(key.key for key in keys if key), values


def _remembered(key: Any) -> int | None:
    now = time.monotonic()
    with _lock:
        total = _kept.get(key)
        if total is None or now - total.counted >= SECONDS:
            return None
        total.asked = now
        return total.found


def _count_and_keep(key: Any, statement: Select[int]) -> int:
    began = time.monotonic()
    found = _read(statement)
    with _lock:
        _kept[key] = _Total(db.engines[READS], statement, found, began, began)
        _kept.move_to_end(key)
        while len(_kept) > CACHE_SIZE:
            _kept.popitem(last=False)
    _keep_up()
    return found


def _keep_up() -> None:
    """Start the thread, unless it runs; a process that was forked has none."""
    global _thread
    with _lock:
        if _thread is None or not _thread.is_alive():
            _thread = Thread(target=_work, name="totals", daemon=True)
            _thread.start()


def _work() -> None:
    """Count anew what is due, one after another, until nothing is asked for any more."""
    while _kept:
        if not refresh():
            time.sleep(PAUSE)


def refresh() -> bool:
    """Count the oldest total anew if it is due; return whether it was. What nobody asks for is forgotten."""
    now = time.monotonic()
    with _lock:
        for key in [key for key, total in _kept.items() if now - max(total.asked, total.counted) >= SECONDS]:
            del _kept[key]
        asked_for = [(key, total) for key, total in _kept.items() if now - total.asked < SECONDS]
    due = [(key, total) for key, total in asked_for if now - total.counted >= SECONDS - AHEAD]
    if not due:
        return False
    key, oldest = min(due, key=lambda item: item[1].counted)
    found = _counted_anew(oldest)
    with _lock:
        if found > EXACT:
            oldest.found, oldest.counted = found, now
        else:
            _kept.pop(key, None)  # It is to be exact again, or the next request is to meet the error.
    return True


def _counted_anew(total: _Total) -> int:
    try:
        with total.engine.connect() as connection:
            return connection.scalar(total.statement) or 0
    except SQLAlchemyError as error:
        log.warning("A total could not be counted: %s", type(error).__name__)
        return 0
