"""The sessions of a member: listed, and ended, which their tokens notice at the next request."""

from typing import Any

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import InstrumentedAttribute

from app.audit import service as audit
from app.auth.models import Session
from app.core import clock
from app.core.caller import Caller
from app.core.db.base import Query
from app.core.errors import NotFound
from app.core.unit_of_work import execute, rows_of
from app.users.models import User


def subject_of(session_id: int, user_id: int) -> audit.Subject:
    """Return a session of a member as the subject of an act."""
    return audit.Subject("session", session_id, user_id)


def list_sessions(caller: Caller, user_id: int) -> Query:
    """Return the query of a member's live sessions; the one that ``caller`` asks from is current."""
    shown: tuple[InstrumentedAttribute[Any], ...] = (
        Session.id,
        Session.created_at,
        Session.last_used_at,
        Session.address,
        Session.agent,
    )
    return select(*shown, (Session.id == caller.session_id).label("current")).where(
        Session.user_id == user_id, Session.expires_at > clock.now()
    )


def sign_out(caller: Caller) -> None:
    """End the session that asks: its tokens are dead at once."""
    _end(Session.id == caller.session_id)


def end_session(user_id: int, session_id: int) -> None:
    """End one of a member's sessions: its tokens are dead at once. Raises NotFound."""
    if not _end(Session.id == session_id, Session.user_id == user_id):
        raise NotFound


def end_sessions(user_id: int, *, but: int | None = None) -> int:
    """End all sessions of a member, ``but`` the one with this id, for good; return how many there were."""
    return _end(Session.user_id == user_id, *(() if but is None else (Session.id != but,)))


def _end(*which: ColumnElement[bool]) -> int:
    """End sessions, record that, and return their number."""
    ended = execute(delete(Session).where(*which).returning(Session.id, Session.user_id)).all()
    audit.record_each("session.ended", [subject_of(session.id, session.user_id) for session in ended])
    return len(ended)


def purge_sessions() -> int:
    """Erase the sessions that have expired, and return their number."""
    return rows_of(delete(Session).where(Session.expires_at <= clock.now()))


def end_all_of(user: User) -> None:
    """End every session of a member who is being disabled or deleted; enabling again does not revive them."""
    end_sessions(user.id)
