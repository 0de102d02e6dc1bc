"""Tokens that are mailed to members: signed (JWT, RFC 7519), with an audience for each purpose, and used once."""

import secrets
from datetime import timedelta
from typing import Any

import jwt
from flask import current_app
from sqlalchemy import ColumnElement, delete, insert, select

from app.auth.tokens import ALGORITHM, ISSUER
from app.core import clock
from app.core.db.base import Record
from app.core.errors import BadRequest
from app.core.unit_of_work import rows_of
from app.credentials.models import NONCE_LENGTH, RESET, VERIFICATION, AccountToken
from app.extensions import db
from app.users.models import User

LIFETIME = {RESET: timedelta(hours=1), VERIFICATION: timedelta(hours=24)}
CLAIMS = ["exp", "jti", "iss", "aud"]


class InvalidToken(BadRequest):
    """A token that is unknown, spent, expired or of another purpose; which of them is not said."""

    code = "invalid_token"
    message = "This link is not valid, or not any more. Ask for a new one."


def issue(user_id: int, purpose: str, *, address: str) -> int:
    """Make a token to be mailed to ``address``, and return its id; older ones of the same purpose are void.

    Runs inside a unit of work that has locked the member's row, so that no two are made at once.
    """
    revoke(user_id, purpose)
    new = insert(AccountToken).values(
        user_id=user_id,
        purpose=purpose,
        address=address,
        nonce=secrets.token_hex(NONCE_LENGTH // 2),
        expires_at=clock.now() + LIFETIME[purpose],
    )
    return db.session.scalars(new.returning(AccountToken.id)).one()


def revoke(user_id: int, purpose: str) -> None:
    """Make the token of a member for ``purpose`` void, if there is one."""
    db.session.execute(delete(AccountToken).where(AccountToken.user_id == user_id, AccountToken.purpose == purpose))


def to_be_mailed(token_id: int) -> Record | None:
    """Return the address, name, purpose, nonce and expiry of a token; None for one that does not work any more."""
    query = select(AccountToken.address, User.name, AccountToken.purpose, AccountToken.nonce, AccountToken.expires_at)
    return db.session.execute(query.where(*_alive(), AccountToken.id == token_id)).one_or_none()


def signed(token: Record) -> str:
    """Return the token that stands in a mail's link."""
    claims = {
        "jti": token.nonce,
        "iss": ISSUER,
        "aud": _audience(token.purpose),
        "exp": token.expires_at,
    }
    return jwt.encode(claims, current_app.config["JWT_SECRET_KEY"], ALGORITHM)


def owner_of(token: str, purpose: str) -> Record:
    """Return the id, name and e-mail of the member to whom a token was mailed, and leave it unspent.

    Raises InvalidToken.
    """
    query = select(User.id, User.name, User.email).where(*_alive(), *_named_by(token, purpose))
    owner = db.session.execute(query).one_or_none()
    if owner is None:
        raise InvalidToken
    return owner


def redeem(token: str, purpose: str) -> User:
    """Spend a token, and return the member to whom it was mailed, locked. Raises InvalidToken.

    The lock is the strong one, which waits for who is signing in. Of two requests with the same token, the second waits
    for the first, and then deletes no row.
    """
    named = _named_by(token, purpose)
    query = select(User).where(*_alive(), *named).with_for_update(of=User)
    owner: User | None = db.session.scalars(query).one_or_none()
    if owner is None or not rows_of(delete(AccountToken).where(*named)):
        raise InvalidToken
    return owner


def purge() -> int:
    """Erase the tokens that have expired, and return their number."""
    return rows_of(delete(AccountToken).where(AccountToken.expires_at <= clock.now()))


def _audience(purpose: str) -> str:
    return f"{ISSUER}:{purpose}"


def _named_by(token: str, purpose: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of the row that a token names. Raises InvalidToken unless it is ours and of ``purpose``."""
    try:
        claims = jwt.decode(
            token,
            current_app.config["JWT_SECRET_KEY"],
            algorithms=[ALGORITHM],
            audience=_audience(purpose),
            issuer=ISSUER,
            options={"require": CLAIMS},
            leeway=clock.SKEW,
        )
    except (jwt.InvalidTokenError, ValueError, TypeError):
        raise InvalidToken from None
    return AccountToken.nonce == claims["jti"], AccountToken.purpose == purpose


def _alive() -> tuple[Any, ...]:
    """Return the conditions of a token that works: of an active member who still has the address it was mailed to."""
    return (
        User.id == AccountToken.user_id,
        AccountToken.expires_at > clock.now(),
        User.is_active,
        User.email == AccountToken.address,
    )
