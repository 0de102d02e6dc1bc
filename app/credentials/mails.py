"""The mails about credentials: links with a token, and notices of changes.

A job names the token by its id, and the token is made when the mail is sent: no row, message or event holds one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from flask import current_app
from sqlalchemy import delete, select

from app.core.clients import mail
from app.core.clients.mail import Mail, one_line
from app.credentials import account_tokens
from app.credentials.models import RESET, VERIFICATION
from app.extensions import db
from app.jobs.models import Job
from app.jobs.service import enqueue
from app.users.models import User

ACCOUNT_EMAIL = "account_email"  # the kind of the jobs that send these mails


@dataclass(frozen=True)
class Letter:
    """What a mail says, and the page of the frontend that its link leads to."""

    subject: str
    message: str
    page: str = ""


LETTERS = {
    RESET: Letter(
        "Set a new password",
        "Somebody, probably you, has asked to set a new password for your account. This link does it, once, within an "
        "hour. If it was not you, nothing needs to be done: your password stays as it is.",
        "reset-password",
    ),
    VERIFICATION: Letter(
        "Verify your e-mail address",
        "This link verifies that this is the address of your account. It works once, within 24 hours. If you have no "
        "account with us, nothing needs to be done.",
        "verify-email",
    ),
    "password_changed": Letter(
        "Your password was changed",
        "The password of your account has been changed, and sessions on other devices have ended. If it was not you, "
        "set a new one at once, as if you had forgotten it.",
    ),
    "email_changed": Letter(
        "Your e-mail address was changed",
        "Your account has another e-mail address from now on, and mails go there. If it was not you, somebody else has "
        "your password: write to who runs the service at once.",
    ),
}


def enqueue_link(purpose: str, user_id: int, *, address: str) -> None:
    """Make a token, and ask for the mail with its link. The member's row is locked."""
    if mail.is_set_up():
        _enqueue(user_id, letter=purpose, token_id=account_tokens.issue(user_id, purpose, address=address))


def enqueue_notice(letter: str, user_id: int, *, to: str | None) -> None:
    """Ask for a mail that tells a member, at the address ``to``, what has changed."""
    if mail.is_set_up():
        _enqueue(user_id, letter=letter, user_id=user_id, to=to)


def _enqueue(caused_by_id: int, **params: Any) -> None:
    enqueue(ACCOUNT_EMAIL, caused_by_id=caused_by_id, params={**params, "key": str(uuid4())})


def mail_of(params: Mapping[str, Any]) -> Mail | None:
    """Write the mail that a job is to send; None where its token does not work any more, or the member is gone."""
    if "token_id" in params:
        token = account_tokens.to_be_mailed(params["token_id"])
        if token is None:
            return None
        return _written(params, name=token.name, to=token.address, token=account_tokens.signed(token))
    name = db.session.scalar(select(User.name).where(User.id == params["user_id"], User.deleted_at.is_(None)))
    return _written(params, name=name, to=params["to"]) if name else None


def _written(params: Mapping[str, Any], *, name: str, to: str, token: str | None = None) -> Mail:
    letter = LETTERS[params["letter"]]
    link = f"{current_app.config['APP_URL']}/{letter.page}?token={token}" if token else None
    values = {"subject": letter.subject, "name": one_line(name), "message": letter.message, "link": link}
    return Mail(to, letter.subject, "account", values, f"account.{params['key']}")


def erase_mails(user: User) -> None:
    """Erase the jobs of a member's mails."""
    db.session.execute(delete(Job).where(Job.caused_by_id == user.id, Job.kind == ACCOUNT_EMAIL))
