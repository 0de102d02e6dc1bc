"""How a request's caller is recognised: by a token, and one statement for the session and member behind it."""

from typing import Any

from sqlalchemy import bindparam, select

from app.auth import cookies, tokens
from app.auth.models import OVERLAP, RefreshToken, Session
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


def verify_cookie(*, or_refresh: bool) -> Credentials | None:
    """Return what the request's access cookie says, None without one.

    ``or_refresh``: where it has expired or is gone, the refresh cookie will do. Raises Unauthorized, or Forbidden for a
    write without the CSRF token.
    """
    try:
        sent = cookies.sent_token(tokens.ACCESS)
    except Unauthorized:
        if not or_refresh:
            raise
        sent = None
    if sent is not None:
        _, claims = sent
        return Credentials(claims.user_id, claims.session_id, claims.csrf_token)
    refreshing = cookies.sent_token(tokens.REFRESH) if or_refresh else None
    if refreshing is None:
        return None
    _, claims = refreshing
    return Credentials(claims.user_id, claims.session_id, claims.csrf_token, claims.jti)


def identify(credentials: Credentials, *, for_update: bool) -> Caller:
    """Return the caller of a token: one statement for session, user and role. Raises Unauthorized.

    ``for_update``: the caller's own row is about to be changed; a lock that is strengthened later invites deadlocks.
    """
    query = LIVE_SESSION
    if is_writing():
        query = LIVE_SESSION_FOR_UPDATE if for_update else LIVE_SESSION_SHARED
    row = execute(query, session_of(credentials)).one_or_none()
    if row is None or (credentials.refresh_id and _is_spent(credentials.refresh_id)):
        if credentials.csrf_token is not None:
            cookies.forget()
        raise Unauthorized("The session has ended.", code="session_ended")
    fresh_until, csrf_token = row.fresh_until, credentials.csrf_token
    return Caller(row.id, row.name, row.role, ROLES[row.role], credentials.session_id, row, fresh_until, csrf_token)


def _is_spent(refresh_id: str) -> bool:
    """Return whether a refresh token is unknown, or was spent longer ago than it may be spent again."""
    spent = execute(select(RefreshToken.spent_at).where(RefreshToken.jti == refresh_id)).one_or_none()
    return spent is None or (spent.spent_at is not None and clock.now() - spent.spent_at > OVERLAP)


def session_of(claims: Credentials | tokens.Claims) -> dict[str, Any]:
    """Return the parameters of the statements above: the session and member of ``claims``, and the time."""
    return {"session_id": claims.session_id, "user_id": claims.user_id, "now": clock.now()}
