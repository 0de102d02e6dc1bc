"""Events: how an earlier feature tells later ones, after the commit.

An event is a row, written in the transaction that makes it true. A worker hands it to those who listen, all of them in
one transaction that also takes the row away: each hears it exactly once. Listeners only write rows; what is slow or
talks to others is a job that they ask for.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, current_app, g
from sqlalchemy import JSON, Index, SmallInteger, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from app.core import clock
from app.core.background.dispatcher import publish
from app.core.db.base import NEVER_REUSE_IDS, Created, table_of, text_type
from app.core.db.prepared import prepared
from app.core.request_id import request_id
from app.core.unit_of_work import execute, savepoint, unit_of_work
from app.extensions import db

log = logging.getLogger(__name__)

Listener = Callable[[dict[str, Any]], None]

EXTENSION = "agora-listeners"
DELIVER = "outbox.deliver"
LONGEST_PAUSE = timedelta(hours=1)


class Event(Created):
    """Something that has happened and that others have yet to hear of."""

    __tablename__ = "events"
    __table_args__ = (Index(None, "due_at"), NEVER_REUSE_IDS)

    name: Mapped[str] = mapped_column(text_type(50))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    request_id: Mapped[str | None] = mapped_column(text_type(128))
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    due_at: Mapped[datetime] = mapped_column(default=clock.now)


_NEW = prepared(insert(table_of(Event)).inline())


def init_app(app: Flask, listeners: Mapping[str, tuple[Listener, ...]]) -> None:
    """Hand each event to its ``listeners``, by its name."""
    app.extensions[EXTENSION] = listeners


def emit(name: str, /, **payload: Any) -> None:
    """Tell that something has happened: JSON values only. Runs inside a unit of work, and is undone with it."""
    execute(_NEW, {"name": name, "payload": payload, "request_id": request_id()})
    publish(DELIVER)


def deliver_all() -> None:
    """Deliver the events that are due, the oldest first, until there is none."""
    while unit_of_work(_deliver_next):
        pass


def _deliver_next() -> bool:
    """Deliver one event; return whether there was one. One that a listener fails on is heard again, ever later."""
    due = select(Event).where(Event.due_at <= clock.now()).order_by(Event.id).limit(1)
    event = db.session.scalars(due.with_for_update(skip_locked=True)).one_or_none()
    if event is None:
        return False
    g.request_id = event.request_id
    try:
        with savepoint():
            for listener in current_app.extensions[EXTENSION].get(event.name, ()):
                listener(event.payload)
        db.session.delete(event)
    except Exception:
        log.exception("A listener failed on the event %d, %s", event.id, event.name)
        event.attempts += 1
        event.due_at = clock.now() + pause_after(event.attempts)
    return True


def pause_after(attempts: int) -> timedelta:
    """Return how long what has failed so often rests: a second or two at first, at most an hour."""
    return min(timedelta(seconds=2 ** min(attempts, 12)), LONGEST_PAUSE)


def undelivered() -> bool:
    """Return whether an event is due."""
    return db.session.scalar(select(Event.id).where(Event.due_at <= clock.now()).limit(1)) is not None
