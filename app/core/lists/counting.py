"""How many rows a list has: exact up to 10,000, above that at most five seconds old.

Counting costs what reading costs, and on a large table more than the page. So no more than 10,000 rows are counted for
a request whose total is not known to be larger, and a larger total is kept for five seconds.
"""

import time
from dataclasses import dataclass
from threading import Lock
from typing import Any

from cachetools import TLRUCache
from sqlalchemy import CompoundSelect, Select, func, literal_column, select, union_all

from app.core.db.base import Parts, Query
from app.core.unit_of_work import execute
from app.extensions import db

EXACT = 10_000
MAX_AGE = 5.0  # seconds
RENEWED_AT = 4.0  # seconds, the age at which one request counts anew while the others still use the old total
CACHE_SIZE = 1_000


@dataclass
class _Total:
    """What was counted, the number of rows, when counting began, and whether a request is counting them anew."""

    key: Any
    found: int
    began: float
    is_renewed: bool = False


def _expires_at(_key: Any, total: _Total, now: float) -> float:
    """Return until when a total is kept; one that is to be exact is not kept at all."""
    return total.began + MAX_AGE if total.found > EXACT else now


# By the hash of what tells queries apart: cachetools looks a key up four times, and these are long.
_totals: TLRUCache[Any, _Total] = TLRUCache(CACHE_SIZE, _expires_at, timer=lambda: time.monotonic())
_lock = Lock()


def count(parts: Parts) -> int:
    """Return the number of rows of all ``parts``: in one statement up to EXACT, in two above, in none when it is known.

    Outer joins to another table's key, of which nothing is counted, are left out by the databases themselves.
    """
    key = _key(parts)
    with _lock:
        known = _totals.get(hash(key))
        if known and known.key != key:
            known = None
        if known and (known.is_renewed or time.monotonic() < known.began + RENEWED_AT):
            return known.found
        if known:
            known.is_renewed = True
    ones: list[Query] = [
        part.with_only_columns(literal_column("1").label("one"), maintain_column_froms=True) for part in parts
    ]
    if not known:
        found = _read(union_all(*(select(one.limit(EXACT + 1).subquery()) for one in ones)))
        if found <= EXACT:
            return found
    return _count_all(key, union_all(*ones))


def _count_all(key: Any, rows: CompoundSelect[Any]) -> int:
    began = time.monotonic()
    found = _read(rows)
    with _lock:
        _totals[hash(key)] = _Total(key, found, began)
    return found


def _read(rows: CompoundSelect[Any]) -> int:
    statement: Select[int] = select(func.count()).select_from(rows.subquery())
    return execute(statement).scalar() or 0


def _key(parts: Parts) -> Any:
    """Return what tells queries apart: their statements and values, as SQLAlchemy's own cache has them."""
    keys = [part._generate_cache_key() for part in parts]
    if None in keys:
        raise TypeError("the query of a list holds something that SQLAlchemy cannot tell apart")
    values = tuple(repr(parameter.effective_value) for key in keys if key for parameter in key.bindparams)
    return db.engine.url, tuple(key.key for key in keys if key), values
