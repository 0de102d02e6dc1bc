"""The events of credentials."""

from dataclasses import dataclass

from app.core.background.events import Event


@dataclass(frozen=True, kw_only=True)
class PasswordForgotten(Event):
    """Somebody has asked to reset the password of the account with this address, if there is one."""

    name = "password.forgotten"

    address: str
