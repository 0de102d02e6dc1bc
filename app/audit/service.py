"""The rules of the audit log: what is recorded, who sees it, and when it goes."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from flask import current_app
from sqlalchemy import case, delete, insert, or_, select, update

from app.audit.models import Action, AuditExpiry, AuditRecord, SubjectType
from app.core import clock
from app.core.caller import Caller
from app.core.db.base import Parts, Query, Record, table_of, where_any
from app.core.http.client_address import client_address
from app.core.request_state import request_state
from app.core.unit_of_work import execute, insert_on_conflict, rows_of

READ_ALL = "user:manage"  # What is shown of others needs it.

RECORDS = table_of(AuditRecord)
SHOWN = (
    AuditRecord.id,
    AuditRecord.action,
    AuditRecord.actor_id,
    AuditRecord.subject_type,
    AuditRecord.subject_id,
    AuditRecord.request_id,
    AuditRecord.data,
    AuditRecord.created_at,
)
NEW_RECORD = insert(RECORDS)


class Subject(NamedTuple):
    """What is acted on, and whose it is."""

    type: SubjectType
    id: int
    owner_id: int | None
    second_owner_id: int | None = None


def member(user_id: int) -> Subject:
    """Return a member as the subject of an act."""
    return Subject("user", user_id, owner_id=user_id)


def record(
    action: Action,
    subject: Subject | None = None,
    *,
    actor_id: int | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Record an act in the unit of work under way.

    The actor is the caller, unless another is named; in a command it is nobody. ``data`` is small JSON without secrets,
    e-mail addresses or words that somebody has written: it cannot be erased.
    """
    _write(action, [subject], actor_id=actor_id, data=data)


def record_each(action: Action, subjects: Sequence[Subject], *, data: Mapping[str, Any] | None = None) -> None:
    """Record an act of the caller's on each of the ``subjects``, by one statement; nothing where there is none."""
    if subjects:
        _write(action, subjects, actor_id=None, data=data)


def _write(
    action: Action, subjects: Sequence[Subject | None], *, actor_id: int | None, data: Mapping[str, Any] | None
) -> None:
    state = request_state()
    act = {
        "action": action,
        "actor_id": actor_id or state.caller.id,
        "address": client_address(),
        "request_id": state.request_id,
        "data": dict(data or {}),
        "created_at": clock.now(),
    }
    execute(NEW_RECORD, [{**act, **_columns(subject)} for subject in subjects])


def _columns(subject: Subject | None) -> dict[str, Any]:
    type_, id_, owner_id, second_owner_id = subject or (None,) * 4
    return {"subject_type": type_, "subject_id": id_, "owner_id": owner_id, "second_owner_id": second_owner_id}


def list_audit(caller: Caller) -> Query | Parts:
    """Return the query of the records that ``caller`` may see: admins all, a member as actor or owner of the subject.

    A member does not see from where another has acted.
    """
    if caller.may(READ_ALL):
        return select(*SHOWN, AuditRecord.address)
    return list_own(caller.member_id)


def list_own(user_id: int) -> Parts:
    """Return the query of what a member may see: three parts, each a scan of an index."""
    own = or_(AuditRecord.actor_id.is_(None), AuditRecord.actor_id == user_id)
    query = select(*SHOWN, case((own, AuditRecord.address)).label("address"))
    return where_any(query, user_id, AuditRecord.actor_id, AuditRecord.owner_id, AuditRecord.second_owner_id)


def shown(record: Record) -> dict[str, Any]:
    """Return a record as its reader sees it."""
    values = dict(record._mapping)
    type_, id_ = values.pop("subject_type"), values.pop("subject_id")
    return {**values, "subject": None if type_ is None else {"type": type_, "id": id_}}


def all_shown(records: Sequence[Record], _sent: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return records as their reader sees them."""
    return [shown(record) for record in records]


def purge() -> int:
    """Erase the records that are older than AUDIT_DAYS, and return their number."""
    before = clock.now() - timedelta(days=current_app.config["AUDIT_DAYS"])
    expiry = insert_on_conflict(AuditExpiry).values(id=1, expired_before=before)
    execute(expiry.on_conflict_do_update(index_elements=["id"], set_={"expired_before": before}))
    return rows_of(delete(AuditRecord).where(AuditRecord.created_at < before))


def erase_addresses(user_id: int) -> None:
    """Erase from where a member who is being deleted has acted, or somebody has tried to sign in as the member."""
    tried = AuditRecord.actor_id.is_(None) & (AuditRecord.owner_id == user_id)
    known = AuditRecord.address.is_not(None), or_(AuditRecord.actor_id == user_id, tried)
    execute(update(RECORDS).where(*known).values(address=None))
