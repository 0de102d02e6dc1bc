"""The sessions of a member: listed, and ended, which their tokens notice at the next request."""

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import InstrumentedAttribute

from app.auth.models import Session
from app.core import clock
from app.core.caller import Caller
from app.core.db.base import Query
from app.core.errors import NotFound
from app.core.unit_of_work import rows_of
from app.extensions import db
from app.users.models import User


def sign_out(caller: Caller) -> None:
    """End the session that asks: its tokens are dead at once."""
    db.session.execute(delete(Session).where(Session.id == caller.session_id))


def list_sessions(caller: Caller) -> Query:
    """Return the query of the caller's live sessions."""
    shown: tuple[InstrumentedAttribute[Any], ...] = (
        Session.id,
        Session.created_at,
        Session.last_used_at,
        Session.address,
        Session.agent,
    )
    return select(*shown, (Session.id == caller.session_id).label("current")).where(
        Session.user_id == caller.member_id, Session.expires_at > clock.now()
    )


def end_session(caller: Caller, session_id: int) -> None:
    """End one of the caller's sessions: its tokens are dead at once. Raises NotFound."""
    if not rows_of(delete(Session).where(Session.id == session_id, Session.user_id == caller.member_id)):
        raise NotFound


def end_other_sessions(caller: Caller) -> None:
    """End all of the caller's sessions but the one that asks."""
    db.session.execute(delete(Session).where(Session.user_id == caller.member_id, Session.id != caller.session_id))


def purge_sessions() -> int:
    """Erase the sessions that have expired, and return their number."""
    return rows_of(delete(Session).where(Session.expires_at <= clock.now()))


def erase_sessions(user: User) -> None:
    """End every session of a member who is being deleted."""
    db.session.execute(delete(Session).where(Session.user_id == user.id))
