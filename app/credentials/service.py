"""The rules of passwords and of verified addresses."""

from typing import Any

from sqlalchemy import delete

from app.audit import service as audit
from app.auth import sessions
from app.core.background import outbox
from app.core.caller import Caller
from app.core.errors import Forbidden
from app.credentials import account_tokens, mails
from app.credentials.events import PasswordForgotten
from app.credentials.models import RESET, VERIFICATION, AccountToken
from app.extensions import db
from app.users.models import User
from app.users.service import confirm_password, hash_new_password


def check_change(caller: Caller, fields: dict[str, str]) -> dict[str, Any]:
    """Return the hash of the caller's password and that of the new one. Runs before the transaction: hashing is slow.

    Raises Forbidden (``invalid_credentials``) for a wrong current password, ValidationFailed for a bad new one.
    """
    known_hash = confirm_password(caller.member_id, fields["current_password"])
    own = caller.account.name, caller.account.email
    return {"known_hash": known_hash, "new_hash": hash_new_password(fields["new_password"], own, field="new_password")}


def change_password(caller: Caller, *, known_hash: str, new_hash: str) -> None:
    """Set the caller's password, end the caller's other sessions, and make links void that were asked for before.

    Raises Forbidden if it has been changed since it was checked.
    """
    user = db.session.get_one(User, caller.member_id)
    if user.password_hash != known_hash:
        raise Forbidden("This is not your password any more.", code="invalid_credentials")
    sessions.end_sessions(user.id, but=caller.session_id)
    account_tokens.revoke(user.id, RESET)
    _set_password(user, new_hash)
    audit.record("password.changed", audit.member(user.id))


def request_reset(address: str) -> None:
    """Have a link to set a new password sent to ``address``, if it has an account: that is found out afterwards.

    So a request does the same for an address that is unknown, and nobody can measure which.
    """
    outbox.emit(PasswordForgotten(address=address))


def check_reset(_caller: Caller, fields: dict[str, str]) -> dict[str, str]:
    """Return the token and the hash of the new password. Runs before the transaction: hashing is slow.

    Raises InvalidToken, before anything is hashed, or ValidationFailed for a bad password.
    """
    owner = account_tokens.owner_of(fields["token"], RESET)
    new_hash = hash_new_password(fields["password"], (owner.name, owner.email), field="password")
    return {"token": fields["token"], "new_hash": new_hash}


def reset_password(token: str, *, new_hash: str) -> None:
    """Spend ``token`` for a new password, and end all sessions of the member. Raises InvalidToken."""
    user = account_tokens.redeem(token, RESET)
    sessions.end_all_of(user)
    _set_password(user, new_hash)
    audit.record("password.reset", audit.member(user.id))


def set_password(user_id: int, *, new_hash: str) -> None:
    """Set a member's password on the operator's behalf, and end all sessions of the member."""
    user = db.session.get_one(User, user_id, with_for_update=True)
    sessions.end_all_of(user)
    account_tokens.revoke(user.id, RESET)
    _set_password(user, new_hash)
    audit.record("password.changed", audit.member(user.id))


def _set_password(user: User, new_hash: str) -> None:
    """Set the password, and have the owner told."""
    user.password_hash = new_hash
    mails.enqueue_notice("password_changed", user.id, to=user.email)


def request_verification(caller: Caller) -> None:
    """Have a link that verifies it sent to the caller's address, whose row is locked; not if it is verified."""
    if not caller.account.email_verified:
        mails.enqueue_link(VERIFICATION, caller.member_id, address=caller.account.email)


def verify_email(token: str) -> None:
    """Spend ``token``: the address that it was mailed to is verified. Raises InvalidToken."""
    account_tokens.redeem(token, VERIFICATION).email_verified = True


def erase_credentials(user: User) -> None:
    """Erase the tokens of a member who is being deleted, and the jobs of mails, which name addresses."""
    db.session.execute(delete(AccountToken).where(AccountToken.user_id == user.id))
    mails.erase_mails(user)
