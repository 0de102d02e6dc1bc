"""Which event has a mail sent. Each of these is called once for an event, inside a unit of work."""

from sqlalchemy import select

from app.credentials import mails
from app.credentials.events import PasswordForgotten
from app.credentials.models import RESET, VERIFICATION
from app.extensions import db
from app.users.events import EmailChanged, SignedUp
from app.users.models import User, email_key


def on_password_forgotten(event: PasswordForgotten) -> None:
    """Send a link to the member with that address, if there is one who may sign in."""
    query = select(User.id, User.email).where(User.email_key == email_key(event.address), User.is_active)
    user = db.session.execute(query.with_for_update(key_share=True)).one_or_none()
    if user is not None:
        mails.enqueue_link(RESET, user.id, address=user.email)


def on_signed_up(event: SignedUp) -> None:
    """Send a link that verifies the address."""
    _send_verification(event.user_id)


def on_email_changed(event: EmailChanged) -> None:
    """Tell the old address, and send a link that verifies the new one."""
    kept = select(User.id).where(User.id == event.user_id, User.deleted_at.is_(None))
    if db.session.scalar(kept.with_for_update(key_share=True)) is not None:
        mails.enqueue_notice("email_changed", event.user_id, to=event.old_address)
        _send_verification(event.user_id)


def _send_verification(user_id: int) -> None:
    query = select(User.email).where(User.id == user_id, User.is_active, User.email_verified.is_(False))
    address = db.session.scalar(query.with_for_update(key_share=True))
    if address is not None:
        mails.enqueue_link(VERIFICATION, user_id, address=address)
