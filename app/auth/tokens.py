"""Signed tokens (JWT, RFC 7519), made by Flask-JWT-Extended and read by PyJWT, on which it stands.

Flask-JWT-Extended takes any signed token whose type is not "refresh" as an access token, and reads each one four times.
So every kind of token has an audience of its own here, and is read once, with all its claims demanded.
"""

import re
import time
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from uuid import UUID, uuid5

import jwt
from flask import current_app
from flask_jwt_extended import create_access_token, create_refresh_token

from app.core import clock
from app.core.errors import Unauthorized
from app.core.schema import MAX_ID

ALGORITHM = "HS256"
ISSUER = "agora"
ACCESS = "agora:access"
REFRESH = "agora:refresh"
CACHE_SIZE = 4096  # tokens, of about a kilobyte each
DIGITS = re.compile("[1-9][0-9]{0,18}")
JTI = re.compile("[!-~]{1,36}")
CLAIMS = ["exp", "iat", "jti", "iss", "aud", "sub", "sid"]

# Flask-JWT-Extended's own settings.
SETTINGS = {
    "JWT_ALGORITHM": ALGORITHM,
    "JWT_ENCODE_ISSUER": ISSUER,
    "JWT_DECODE_ISSUER": ISSUER,
    "JWT_DECODE_AUDIENCE": ACCESS,
    "JWT_TOKEN_LOCATION": ["headers", "cookies"],  # With the second, every token has the claim ``csrf``.
}


@dataclass(frozen=True)
class Claims:
    """The claims of a valid token: its user, its session, its own id, and when it expires.

    ``csrf_token``: what a write repeats that sends the token as a cookie; empty in tokens from before there were any.
    """

    user_id: int
    session_id: int
    jti: str
    expires_at: float  # seconds since 1970
    csrf_token: str


def access_token(user_id: int, session_id: int, *, csrf_token: str) -> str:
    """Return a new access token; it lives for the setting JWT_ACCESS_TOKEN_EXPIRES (seconds)."""
    claims = {"sid": session_id, "aud": ACCESS, "csrf": csrf_token}
    return str(create_access_token(str(user_id), additional_claims=claims))


def refresh_token(user_id: int, session_id: int, *, jti: str, expires_at: datetime, csrf_token: str) -> str:
    """Return a new refresh token with the id ``jti``. It lives as long as its session."""
    claims = {"sid": session_id, "aud": REFRESH, "jti": jti, "csrf": csrf_token}
    return str(create_refresh_token(str(user_id), additional_claims=claims, expires_delta=expires_at - clock.now()))


def successor_of(jti: str) -> str:
    """Return the id of the one refresh token for which another is spent, however often it is; it is no secret."""
    return str(uuid5(UUID(jti), REFRESH))


def read_token(token: str, *, audience: str) -> Claims:
    """Return the claims of ``token``. Raises Unauthorized unless it is whole, alive, ours and of this audience."""
    try:
        claims = _verified(token, current_app.config["JWT_SECRET_KEY"], audience)
        if claims.expires_at <= time.time():  # as PyJWT itself asks
            raise jwt.ExpiredSignatureError
    except jwt.ExpiredSignatureError:
        raise Unauthorized("The token has expired.", code="token_expired") from None
    except (jwt.InvalidTokenError, ValueError, TypeError):
        raise Unauthorized("The token is not valid here.", code="invalid_token") from None
    return claims


@lru_cache(CACHE_SIZE)
def _verified(token: str, key: str, audience: str) -> Claims:
    """Return the claims of a token that is ours; a refusal is not remembered.

    A client sends the same token for an hour, and to verify it takes 90 us, as long as two queries. What was signed
    once stays so: all that time can change is its expiry, looked at above, and its session, which is in the database.
    The leeway is for what another host, whose clock is ahead, has issued a moment ago.
    """
    claims = jwt.decode(
        token,
        key,
        algorithms=[ALGORITHM],
        audience=audience,
        issuer=ISSUER,
        options={"require": CLAIMS},
        leeway=clock.SKEW,
    )
    user_id, session_id = claims["sub"], claims["sid"]
    if type(session_id) is not int or not (DIGITS.fullmatch(user_id) and JTI.fullmatch(claims["jti"])):
        raise jwt.InvalidTokenError
    if max(int(user_id), session_id) > MAX_ID or session_id < 1:
        raise jwt.InvalidTokenError  # No row has such an id, and a database refuses the question.
    return Claims(int(user_id), session_id, claims["jti"], claims["exp"], str(claims.get("csrf", "")))
