"""The unit of work: the only place that commits."""

import logging
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from app.core.database import WRITING
from app.core.errors import AppError
from app.extensions import db

log = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS = 3
# serialization_failure and deadlock_detected: PostgreSQL asks for the whole transaction to be tried again.
RETRIED = ("40001", "40P01")


def unit_of_work(work: Callable[[], T]) -> T:
    """Run ``work`` in one transaction and give its result: all of it is kept, or nothing.

    A transaction that the database refuses for another one's sake is run again, up to three times; so ``work`` does
    nothing but work on the database. An error rolls back, except one that ``keeps_changes``.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _attempt(work)
        except DBAPIError as error:
            if attempt == ATTEMPTS or getattr(error.orig, "pgcode", None) not in RETRIED:
                raise
            log.info("Transaction refused by the database, attempt %d", attempt)
    raise AssertionError("unreachable")


def _attempt(work: Callable[[], T]) -> T:
    db.session.close()  # What was read before belongs to the reading engine.
    db.session.info[WRITING] = True
    try:
        try:
            result = work()
        except AppError as error:
            if error.keeps_changes:
                db.session.commit()
            raise
        db.session.commit()
        return result
    finally:
        db.session.close()
        del db.session.info[WRITING]
