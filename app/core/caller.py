"""Who is asking. The core knows a caller's shape; how one is recognised is told to it by ``auth``."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from flask import Flask, current_app, request

from app.core import clock
from app.core.errors import Forbidden, Unauthorized


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking: a signed-in member, or ANONYMOUS, whose id is None and who has no permission."""

    id: int | None
    name: str = ""
    role: str = ""
    permissions: frozenset[str] = frozenset()
    session_id: int | None = None
    account: Any = None  # the member's own row, which was read to recognise the caller
    fresh_until: datetime | None = None  # None: the session has never been fresh since that is noted
    csrf_token: str | None = None  # what a write by the cookie that was sent repeats; None where a header was sent

    def may(self, permission: str) -> bool:
        """Return whether the caller has ``permission``."""
        return permission in self.permissions

    def demand(self, permission: str) -> None:
        """Raise Forbidden, naming the permission, unless the caller has it."""
        if permission not in self.permissions:
            raise Forbidden(f"You need the permission {permission}.")

    def demand_fresh(self) -> None:
        """Raise Forbidden unless the caller has signed in, or has confirmed to be the same person, a moment ago."""
        if self.fresh_until is None or self.fresh_until <= clock.now():
            raise Forbidden(
                "This needs a fresh sign-in: confirm your password at POST /auth/confirm.",
                code="fresh_sign_in_required",
            )

    @property
    def member_id(self) -> int:
        """The id of a caller who has signed in."""
        if self.id is None:
            raise Unauthorized
        return self.id


ANONYMOUS = Caller(id=None)

EXTENSION = "agora-authentication"


class Credentials(NamedTuple):
    """What a valid token says: whose it is, and of which session.

    ``csrf_token``: what a write repeats; None unless the token was sent as a cookie.
    ``refresh_id``: the token's own id, where a refresh token was sent in place of an access token.
    """

    user_id: int
    session_id: int
    csrf_token: str | None = None
    refresh_id: str | None = None


class Authentication(Protocol):
    """How callers are recognised."""

    def verify(self, token: str) -> Credentials:
        """Return what an access token says, without a look at the database. Raises Unauthorized."""

    def verify_cookie(self, *, or_refresh: bool) -> Credentials | None:
        """Return what the request's access cookie says, None without one.

        ``or_refresh``: where it has expired or is gone, the refresh cookie will do. Raises Unauthorized, or Forbidden
        for a write without the CSRF token.
        """

    def identify(self, credentials: Credentials, *, for_update: bool) -> Caller:
        """Return the caller by one statement; in a unit of work it holds the member's row. Raises Unauthorized.

        ``for_update``: the member's own row may be what is changed.
        """


def init_app(app: Flask, authentication: Authentication) -> None:
    """Recognise callers by ``authentication``."""
    app.extensions[EXTENSION] = authentication


def _authentication() -> Authentication:
    found: Authentication = current_app.extensions[EXTENSION]
    return found


def bearer_token() -> str | None:
    """Return the token of the Authorization header (RFC 6750, section 2.1), or None where there is no such header."""
    header: str | None = request.environ.get("HTTP_AUTHORIZATION")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized
    return token.strip()


def sent_credentials(*, or_refresh: bool = False) -> Credentials | None:
    """Return what the request's token says, None where none was sent. A header counts before a cookie.

    ``or_refresh``: the refresh cookie will do. Raises Unauthorized for a bad token, Forbidden without the CSRF token.
    """
    token = bearer_token()
    if token is not None:
        return _authentication().verify(token)
    return _authentication().verify_cookie(or_refresh=or_refresh) if "HTTP_COOKIE" in request.environ else None


def identify(credentials: Credentials, *, for_update: bool) -> Caller:
    """Return the caller whose ``credentials`` were sent. Raises Unauthorized when the session has ended."""
    return _authentication().identify(credentials, for_update=for_update)


def hold(caller: Caller, *, for_update: bool) -> None:
    """Hold the member's row until the unit of work ends, of a ``caller`` who was recognised before it has begun.

    Raises Unauthorized when the session has ended since, Forbidden when the member's role has changed.
    """
    if caller.id is None or caller.session_id is None:
        return
    now = identify(Credentials(caller.id, caller.session_id), for_update=for_update)
    if now.role != caller.role:
        raise Forbidden("Your role has changed meanwhile. Send the request again.")
