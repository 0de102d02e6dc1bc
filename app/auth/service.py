"""The rules of signing in: sessions live in the database, refresh tokens rotate, and a stolen one is noticed."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from flask import current_app
from sqlalchemy import bindparam, delete, select, update

from app.audit import service as audit
from app.auth import cookies, tokens
from app.auth.authentication import LIVE_SESSION_TO_REFRESH, session_of
from app.auth.models import AGENT_LENGTH, OVERLAP, RefreshToken, Session
from app.auth.sessions import subject_of
from app.core import clock
from app.core.caller import Caller
from app.core.db.base import Record
from app.core.db.prepared import prepared
from app.core.errors import Unauthorized
from app.core.unit_of_work import execute, insert_on_conflict, unit_of_work
from app.extensions import db
from app.users.models import User, email_key
from app.users.passwords import hash_password, needs_rehash, verify_password
from app.users.service import SHOWN, confirm_password

# A session is fresh for this long after signing in, and after its member has confirmed to be the same person.
FRESH_FOR = timedelta(minutes=10)


def check_credentials(_caller: Caller, credentials: dict[str, str]) -> dict[str, Any]:
    """Return the id and hash of the active user with these credentials, and a better hash where today's is stronger.

    Raises Unauthorized; a wrong password, an unknown user and a disabled one answer alike, in the same time.
    """
    query = select(User.id, User.is_active, User.password_hash).where(User.email_key == email_key(credentials["email"]))
    user = db.session.execute(query).one_or_none()
    is_right = verify_password(user.password_hash if user else None, credentials["password"])
    if user is None or not (is_right and user.is_active):
        known = audit.member(user.id) if user else None
        unit_of_work(lambda: audit.record("session.failed", known))
        raise Unauthorized("Invalid credentials", code="invalid_credentials")
    outdated = needs_rehash(user.password_hash)
    new_hash = hash_password(credentials["password"]) if outdated else None
    return {"user_id": user.id, "known_hash": user.password_hash, "new_hash": new_hash}


def check_browser_credentials(caller: Caller, credentials: dict[str, Any]) -> dict[str, Any]:
    """Return what check_credentials() does, and whether the browser shall ``remember``. Raises Unauthorized."""
    return {**check_credentials(caller, credentials), "remember": credentials.get("remember", False)}


def sign_in(
    user_id: int, *, known_hash: str, new_hash: str | None, address: str, agent: str, remember: bool = False
) -> dict[str, Any]:
    """Start a session of a user whose credentials were checked, and return its first pair of tokens.

    ``known_hash``: the one that the password was checked by; if it has been changed meanwhile, raises Unauthorized.
    ``remember``: the cookies of the session outlive the browser.
    """
    now = clock.now()
    user = _held_account(user_id, known_hash)
    db.session.execute(delete(Session).where(Session.user_id == user_id, Session.expires_at <= now))
    if new_hash:
        db.session.execute(update(User).where(User.id == user_id).values(password_hash=new_hash))
    session = Session(
        user_id=user_id,
        last_used_at=now,
        expires_at=now + timedelta(seconds=current_app.config["JWT_REFRESH_TOKEN_EXPIRES"]),
        address=address,
        agent="".join(filter(str.isprintable, agent))[:AGENT_LENGTH],
        fresh_until=now + FRESH_FOR,
        remember=remember,
    )
    db.session.add(session)
    db.session.flush()
    audit.record("session.created", subject_of(session.id, user_id), actor_id=user_id)
    return {**_new_tokens(session, str(uuid4())), "user": user}


def check_password(caller: Caller, fields: dict[str, str]) -> dict[str, Any]:
    """Return no fields. Raises Forbidden (``invalid_credentials``) unless the password is the caller's."""
    confirm_password(caller.member_id, fields["password"])
    return {}


def confirm(caller: Caller) -> None:
    """Make the caller's session as fresh as after signing in; the password has been checked."""
    fresh_until = clock.now() + FRESH_FOR
    db.session.execute(update(Session).where(Session.id == caller.session_id).values(fresh_until=fresh_until))


def refresh(token: str) -> dict[str, Any]:
    """Exchange a refresh token for a new pair of tokens.

    One that was spent before works again within OVERLAP, for the same refresh token; later it was stolen, from us or
    from its owner: the whole session ends (RFC 9700, section 4.14.2). Raises Unauthorized.
    """
    claims = tokens.read_token(token, audience=tokens.REFRESH)
    session: Session | None = db.session.scalars(LIVE_SESSION_TO_REFRESH, session_of(claims)).one_or_none()
    issued = db.session.get(RefreshToken, claims.jti) if session else None
    if session is None or issued is None:
        raise Unauthorized("The session has ended.", code="session_ended")
    now = clock.now()
    if issued.spent_at is None:
        issued.spent_at = now
    elif now - issued.spent_at > OVERLAP:
        db.session.delete(session)
        for action in ("token.reused", "session.ended"):
            audit.record(action, subject_of(session.id, session.user_id))
        raise Unauthorized(
            "This refresh token was used before. The session has been ended.",
            code="token_reused",
            keeps_changes=True,
        )
    session.last_used_at = now
    return {**_new_tokens(session, tokens.successor_of(claims.jti)), "user": get_account(session.user_id)}


def refresh_cookie(header: str | None) -> dict[str, Any]:
    """Exchange the refresh cookie, or the ``header`` that counts before it, for a new pair of tokens.

    Raises Unauthorized, after which the cookie is deleted, or Forbidden without the CSRF token.
    """
    if header is not None:
        return refresh(header)
    try:
        sent = cookies.sent_token(tokens.REFRESH)
        if sent is None:
            raise Unauthorized
        return refresh(sent[0])
    except Unauthorized:
        cookies.forget()
        raise


def _new_tokens(session: Session, jti: str) -> dict[str, Any]:
    new = insert_on_conflict(RefreshToken).values(jti=jti, session_id=session.id)
    db.session.execute(new.on_conflict_do_nothing())
    user_id, csrf_token = session.user_id, str(uuid4())
    return {
        "access_token": tokens.access_token(user_id, session.id, csrf_token=csrf_token),
        "refresh_token": tokens.refresh_token(
            user_id, session.id, jti=jti, expires_at=session.expires_at, csrf_token=csrf_token
        ),
        "csrf_token": csrf_token,
        "cookie_max_age": int((session.expires_at - clock.now()).total_seconds()) if session.remember else None,
        "token_type": "Bearer",
        "expires_in": current_app.config["JWT_ACCESS_TOKEN_EXPIRES"],
    }


ACCOUNT = prepared(select(*SHOWN).where(User.id == bindparam("user_id")))


def get_account(user_id: int) -> Record:
    """Return a member's account."""
    return execute(ACCOUNT, {"user_id": user_id}).one()


def _held_account(user_id: int, known_hash: str) -> Record:
    """Return the account of a member who is signing in, held until then.

    Raises Unauthorized for a disabled one, and for a password that is not the member's any more: whoever has changed it
    has ended all sessions, and must find none that began a moment later.
    """
    query = select(*SHOWN).where(User.id == user_id, User.is_active, User.password_hash == known_hash)
    user = db.session.execute(query.with_for_update(read=True, key_share=True)).one_or_none()
    if user is None:
        raise Unauthorized("Invalid credentials", code="invalid_credentials")
    return user
