"""The events of accounts."""

from dataclasses import dataclass

from app.core.background.events import Event


@dataclass(frozen=True, kw_only=True)
class SignedUp(Event):
    """Somebody has signed up."""

    name = "user.signed_up"

    user_id: int


@dataclass(frozen=True, kw_only=True)
class EmailChanged(Event):
    """A member has another address than before."""

    name = "email.changed"

    user_id: int
    old_address: str
