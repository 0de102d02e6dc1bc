"""The transactional outbox: events reach the features that listen to them after the commit.

An event is a row, written in the transaction that makes it true. A worker delivers it to its listeners, all of them in
one transaction that also deletes the row: each hears it exactly once. Listeners only write rows; what is slow or talks
to others is a job that they enqueue.
"""

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, current_app
from sqlalchemy import JSON, Index, SmallInteger, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from app.core import clock
from app.core.background.dispatcher import publish
from app.core.background.events import Event, Subscription
from app.core.db.base import NEVER_REUSE_IDS, Created, table_of, text_type
from app.core.db.prepared import prepared
from app.core.request_state import request_id, request_state
from app.core.unit_of_work import execute, savepoint, unit_of_work
from app.extensions import db

log = logging.getLogger(__name__)

EXTENSION = "agora-subscriptions"
DELIVER = "outbox.deliver"
SLICE = 1.0  # seconds for which a worker goes on with events at one message
MAX_DELAY = timedelta(hours=1)


class StoredEvent(Created):
    """An event that is not delivered yet."""

    __tablename__ = "events"
    __table_args__ = (Index(None, "due_at"), NEVER_REUSE_IDS)

    name: Mapped[str] = mapped_column(text_type(50))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    request_id: Mapped[str | None] = mapped_column(text_type(128))
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    due_at: Mapped[datetime] = mapped_column(default=lambda: clock.at_once())


_NEW = prepared(insert(table_of(StoredEvent)).inline())


def init_app(app: Flask, subscriptions: Sequence[Subscription[Any]]) -> None:
    """Deliver events by these ``subscriptions``."""
    app.extensions[EXTENSION] = subscriptions


def emit(event: Event) -> None:
    """Store an event, to be delivered after the commit. Runs inside a unit of work, and is undone with it."""
    execute(_NEW, {"name": event.name, "payload": event.payload(), "request_id": request_id()})
    publish(DELIVER)


def deliver_due() -> None:
    """Deliver the events that are due, for about a second; if there may be more, wake a worker for them.

    So a backlog of one member's events keeps no worker from others' jobs.
    """
    end = time.monotonic() + SLICE
    while unit_of_work(_deliver_next):
        if time.monotonic() > end:
            unit_of_work(lambda: publish(DELIVER))
            return


def deliver_all() -> None:
    """Deliver the events that are due, the oldest first, until there is none."""
    while unit_of_work(_deliver_next):
        pass


def _deliver_next() -> bool:
    """Deliver one event; return whether there was one. After a failure of a listener it is tried again, ever later."""
    due = select(StoredEvent).where(StoredEvent.due_at <= clock.now()).order_by(StoredEvent.id).limit(1)
    stored = db.session.scalars(due.with_for_update(skip_locked=True)).one_or_none()
    if stored is None:
        return False
    request_state().request_id = stored.request_id
    try:
        with savepoint():
            for subscription in current_app.extensions[EXTENSION]:
                if subscription.event.name == stored.name:
                    subscription.listener(subscription.event(**stored.payload))
        db.session.delete(stored)
    except Exception:
        log.exception("A listener failed on the event %d, %s", stored.id, stored.name)
        stored.attempts += 1
        stored.due_at = clock.now() + pause_after(stored.attempts)
    return True


def pause_after(attempts: int) -> timedelta:
    """Return the pause after so many failed attempts: two seconds at first, at most an hour."""
    return min(timedelta(seconds=2 ** min(attempts, 12)), MAX_DELAY)
