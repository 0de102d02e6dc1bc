"""How many rows a list has: exact up to 10,000, above that up to five seconds old.

Counting costs what reading costs, and on a large table it costs more than the page. So no more than 10,000 rows are
counted for a request whose total is not known yet to be larger.
"""

import math
import time
from collections import OrderedDict
from threading import Lock
from typing import Any

from sqlalchemy import func, literal_column, select

from app.core.models import Query
from app.extensions import db

EXACT = 10_000
SECONDS = 5.0
MOST_KEPT = 1_000

_kept: OrderedDict[Any, tuple[float, int]] = OrderedDict()
_lock = Lock()


def count(query: Query) -> int:
    """Give the number of rows of ``query``: in one statement up to EXACT, in two above, in none when it is known."""
    key = _key(query)
    known = _remembered(key)
    if known is not None:
        return known
    bounded: Query = query.with_only_columns(literal_column("1"), maintain_column_froms=True).limit(EXACT + 1)
    found = db.session.scalar(select(func.count()).select_from(bounded.subquery())) or 0
    if found > EXACT:
        found = db.session.scalar(query.with_only_columns(func.count(), maintain_column_froms=True)) or 0
        _remember(key, found)
    return found


def _key(query: Query) -> Any:
    """Tell queries apart by their statement and their values, as SQLAlchemy's own cache does."""
    key = query._generate_cache_key()
    if key is None:
        raise TypeError("the query of a list holds something that SQLAlchemy cannot tell apart")
    return db.engine.url, key.key, tuple(repr(parameter.effective_value) for parameter in key.bindparams)


def _remembered(key: Any) -> int | None:
    with _lock:
        moment, found = _kept.get(key, (-math.inf, 0))
    return found if time.monotonic() - moment < SECONDS else None


def _remember(key: Any, found: int) -> None:
    with _lock:
        _kept[key] = (time.monotonic(), found)
        _kept.move_to_end(key)
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
