"""The rules of notifications."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, insert, or_, select
from sqlalchemy.orm import aliased

from app.core import clock
from app.core.background.dispatcher import MAIL_QUEUE
from app.core.caller import Caller
from app.core.clients import mail
from app.core.db.base import Query, Record
from app.core.rows import apply_changes, one_locked, one_or_not_found
from app.extensions import db
from app.jobs.models import QUEUED, Job
from app.jobs.service import enqueue
from app.notifications.messages import message_of
from app.notifications.models import Notification
from app.users.models import User

EMAIL = "email"  # the kind of the jobs that send mails
HELD_UP_AFTER = timedelta(seconds=60)  # for which a mail may wait for a worker

Person = aliased(User)
STORED = (
    Notification.id,
    Notification.user_id,
    Notification.kind,
    Notification.data,
    Notification.read,
    Notification.created_at,
    Notification.updated_at,
    Person.name.label("person"),
)
ALL = select(*STORED).outerjoin(Person, Person.id == Notification.person_id)


def notify(user_id: int, kind: str, data: Mapping[str, Any], *, person_id: int | None = None) -> None:
    """Notify a member, and enqueue a mail that does so too. Runs inside a unit of work.

    Takes what it is about (JSON; no words of others, which could not be erased) and whom the sentence names. A member
    who has been deleted meanwhile is not notified; one who is being deleted is waited for.
    """
    there = select(User.id).where(User.id == user_id, User.deleted_at.is_(None))
    if db.session.scalar(there.with_for_update(read=True, key_share=True)) is None:
        return
    new = insert(Notification).values(user_id=user_id, kind=kind, data=dict(data), person_id=person_id)
    notification_id = db.session.scalar(new.returning(Notification.id))
    if mail.is_set_up():
        enqueue(EMAIL, caused_by_id=person_id or user_id, params={"notification_id": notification_id})


def shown(notification: Record) -> dict[str, Any]:
    """Return a notification as its owner reads it."""
    names = ("id", "user_id", "kind", "data", "read", "created_at", "updated_at")
    values = {name: getattr(notification, name) for name in names}
    user_id = values.pop("user_id")
    message = message_of(values["kind"], values["data"], user_id=user_id, person=notification.person)
    return {**values, "message": message}


def all_shown(notifications: Sequence[Record], _sent: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return notifications as their owner reads them."""
    return [shown(notification) for notification in notifications]


def list_notifications(caller: Caller) -> Query:
    """Return the query of the caller's notifications."""
    return ALL.where(Notification.user_id == caller.member_id)


def get_notification(caller: Caller, notification_id: int) -> dict[str, Any]:
    """Return one of the caller's notifications. Raises NotFound."""
    return shown(one_or_not_found(list_notifications(caller).where(Notification.id == notification_id)))


def own_notification(caller: Caller, notification_id: int) -> Notification:
    """Return one of the caller's notifications, locked, to be changed. Raises NotFound."""
    own = Notification.id == notification_id, Notification.user_id == caller.member_id
    return one_locked(select(Notification).where(*own))


def update_notification(caller: Caller, notification: Notification, *, read: bool | None = None) -> dict[str, Any]:
    """Mark a notification as seen or not seen, and return it; without ``read`` nothing changes."""
    if read is not None:
        apply_changes(notification, {"read": read})
    return get_notification(caller, notification.id)


def mails_are_held_up() -> bool:
    """Return whether a mail waits to be tried again, or for a worker for long."""
    late = or_(Job.attempts > 0, Job.due_at < clock.now() - HELD_UP_AFTER)
    waiting = select(Job.id).where(Job.status == QUEUED, Job.queue == MAIL_QUEUE, late)
    return db.session.scalar(waiting.limit(1)) is not None


def erase_notifications(user: User) -> None:
    """Erase the notifications of a member who is being deleted."""
    db.session.execute(delete(Notification).where(Notification.user_id == user.id))
