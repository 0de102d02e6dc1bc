"""Who is asking. The core knows a caller's shape; how one is recognised is told to it by ``auth``."""

from dataclasses import dataclass
from typing import Any, Protocol, cast

from flask import Flask, current_app, request

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

    def may(self, permission: str) -> bool:
        """Return whether the caller has ``permission``."""
        return permission in self.permissions

    def demand(self, permission: str) -> None:
        """Raise Forbidden, naming the permission, unless the caller has it."""
        if permission not in self.permissions:
            raise Forbidden(f"You need the permission {permission}.")

    @property
    def member_id(self) -> int:
        """The id of a caller who has signed in."""
        if self.id is None:
            raise Unauthorized
        return self.id


ANONYMOUS = Caller(id=None)

EXTENSION = "agora-authenticate"
CALLER = "agora.caller"  # where the log finds who has asked


class Authenticator(Protocol):
    """Returns the caller of a token, or raises Unauthorized. ``for_update``: the caller's own row will be changed."""

    def __call__(self, token: str, *, for_update: bool) -> Caller: ...  # noqa: D102


def init_app(app: Flask, authenticate: Authenticator) -> None:
    """Recognise callers by ``authenticate``."""
    app.extensions[EXTENSION] = authenticate


def bearer_token() -> str | None:
    """Return the token of the Authorization header (RFC 6750, section 2.1), or None where there is no such header."""
    header: str | None = request.environ.get("HTTP_AUTHORIZATION")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized
    return token.strip()


def authenticate(*, for_update: bool = False) -> Caller:
    """Return the caller of the request's token, ANONYMOUS without one. Raises Unauthorized for a bad one."""
    token = bearer_token()
    if token is None:
        return ANONYMOUS
    caller = cast(Caller, current_app.extensions[EXTENSION](token, for_update=for_update))
    request.environ[CALLER] = caller
    return caller
