"""How a request's caller is recognised: by a token, and one statement for the session and member behind it."""

from typing import Any

from sqlalchemy import bindparam, select

from app.auth import tokens
from app.auth.models import Session
from app.core import clock
from app.core.caller import Caller, Credentials
from app.core.db.prepared import prepared
from app.core.errors import Unauthorized
from app.core.permissions import ROLES
from app.core.unit_of_work import execute, is_writing
from app.users.models import User
from app.users.service import SHOWN

# The session of a token's claims, if it is alive, and its user; built once, since every request asks for it.
LIVE_SESSION = prepared(
    select(*SHOWN, Session.fresh_until)
    .select_from(Session)
    .join(User, User.id == Session.user_id)
    .where(
        Session.id == bindparam("session_id"),
        Session.user_id == bindparam("user_id"),
        Session.expires_at > bindparam("now"),
        User.is_active,
    )
)
# Inside a unit of work the member is held, so that nobody is deleted while writing.
LIVE_SESSION_SHARED = prepared(LIVE_SESSION.with_for_update(read=True, key_share=True, of=User))
LIVE_SESSION_FOR_UPDATE = prepared(LIVE_SESSION.with_for_update(of=User))
LIVE_SESSION_TO_REFRESH = LIVE_SESSION.with_only_columns(Session).with_for_update(of=Session)


def verify(token: str) -> Credentials:
    """Return what an access token says. Raises Unauthorized unless it is whole, alive and ours."""
    claims = tokens.read_token(token, audience=tokens.ACCESS)
    return Credentials(claims.user_id, claims.session_id)


def identify(credentials: Credentials, *, for_update: bool) -> Caller:
    """Return the caller of a token: one statement for session, user and role. Raises Unauthorized.

    ``for_update``: the caller's own row is about to be changed; a lock that is strengthened later invites deadlocks.
    """
    query = LIVE_SESSION
    if is_writing():
        query = LIVE_SESSION_FOR_UPDATE if for_update else LIVE_SESSION_SHARED
    row = execute(query, session_of(credentials)).one_or_none()
    if row is None:
        raise Unauthorized("The session has ended.", code="session_ended")
    return Caller(row.id, row.name, row.role, ROLES[row.role], credentials.session_id, row, row.fresh_until)


def session_of(claims: Credentials | tokens.Claims) -> dict[str, Any]:
    """Return the parameters of the statements above: the session and member of ``claims``, and the time."""
    return {"session_id": claims.session_id, "user_id": claims.user_id, "now": clock.now()}
