"""The rules of accounts."""

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from sqlalchemy import exists, select

from app.audit import service as audit
from app.core import clock
from app.core.background import outbox
from app.core.caller import Caller
from app.core.db.base import Query, Record
from app.core.db.constraints import conflict
from app.core.errors import Conflict, Forbidden, NotFound, ValidationFailed
from app.core.hooks import Hook
from app.core.http import idempotency
from app.core.rows import apply_changes, one_or_not_found
from app.core.unit_of_work import insert_on_conflict
from app.extensions import db
from app.users.events import EmailChanged, SignedUp
from app.users.models import DELETED_NAME, EMAIL_TAKEN, User, email_key
from app.users.password_policy import policy
from app.users.passwords import hash_password, verify_password

MANAGE = "user:manage"

# Run in the transaction that deletes a member; whoever keeps something of the member's erases it or refuses.
user_deleting: Hook[User] = Hook()
# Run in the transaction that disables a member.
user_disabling: Hook[User] = Hook()

SHOWN = (
    User.id,
    User.name,
    User.created_at,
    User.email,
    User.role,
    User.is_active,
    User.notify_by_email,
    User.email_verified,
    User.updated_at,
)


class UserChanges(TypedDict, total=False):
    """The fields of a member that can be changed: ``role`` and ``is_active`` by admins alone."""

    name: str
    email: str
    notify_by_email: bool
    role: str
    is_active: bool


def list_users(caller: Caller) -> Query:
    """Return the query of the members that ``caller`` may see: the active ones, admins see all."""
    query = select(*SHOWN).where(User.deleted_at.is_(None))
    return query if caller.may(MANAGE) else query.where(User.is_active)


def get_user(caller: Caller, user_id: int) -> Record:
    """Return a member. Raises NotFound for one that ``caller`` may not see."""
    return one_or_not_found(list_users(caller).where(User.id == user_id))


def with_hashed_password(_caller: Caller, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a sign-up with the hash of its password in place of the password.

    Raises ValidationFailed for a password that is little more than the name or the address.
    """
    password, own = fields.pop("password"), (fields["name"], fields["email"])
    return {**fields, "password_hash": hash_new_password(password, own, field="password")}


def hash_new_password(password: str, own: tuple[str, ...], *, field: str) -> str:
    """Return the hash of a password that is to be set, of an account whose ``own`` words are its name and address.

    Raises ValidationFailed for ``field``. Slow: call it before a transaction begins.
    """
    policy().demand_foreign(password, own, field=field)
    return hash_password(password)


def sign_up(*, email: str, name: str, password_hash: str) -> Record:
    """Create a member's account, and return it. Raises Conflict (``email_taken``)."""
    user = create_user(email=email, name=name, password_hash=password_hash)
    outbox.emit(SignedUp(user_id=user.id))
    return user


def create_user(*, email: str, name: str, password_hash: str, role: str = "member") -> Record:
    """Create an account, and return it. Raises Conflict (``email_taken``).

    The constraint is not violated for it: PostgreSQL would write the statement, with address and hash, into its log.
    """
    new = insert_on_conflict(User).values(
        email=email, email_key=email_key(email), name=name, password_hash=password_hash, role=role
    )
    new = new.on_conflict_do_nothing(index_elements=["email_key"])
    user = db.session.execute(new.returning(*SHOWN)).one_or_none()
    if user is None:
        raise conflict(EMAIL_TAKEN)
    return user


def check_update(caller: Caller, changes: dict[str, Any], *, user_id: int) -> dict[str, Any]:
    """Return the changes without ``current_password``. Runs before the transaction, for what is slow is checked here.

    One's own address changes only with the current password beside it; rights come first. Whether another member can
    be changed is seen in the transaction. Raises Forbidden or ValidationFailed.
    """
    password = changes.pop("current_password", None)
    if caller.id != user_id:
        return changes
    _demand_admin(caller, changes)
    if "email" in changes and changes["email"] != caller.account.email:
        if password is None:
            raise ValidationFailed(errors={"current_password": ["Your current password is needed to change this."]})
        confirm_password(user_id, password)
    return changes


def confirm_password(user_id: int, password: str) -> str:
    """Return the hash of ``password`` if it is the one of this member, who is signed in.

    Raises Forbidden (``invalid_credentials``). Slow: call it before a transaction begins.
    """
    password_hash = db.session.scalar(select(User.password_hash).where(User.id == user_id))
    if password_hash is None or not verify_password(password_hash, password):
        raise Forbidden("This is not your password.", code="invalid_credentials")
    return password_hash


def changeable_user(caller: Caller, user_id: int) -> int:
    """Return the id of a member whom ``caller`` may change: one's own, any for admins. Raises NotFound or Forbidden."""
    get_user(caller, user_id)
    if caller.id != user_id:
        caller.demand(MANAGE)
        # One's own row is locked from the start.
        db.session.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))
    return user_id


def update_user(caller: Caller, user_id: int, **changes: Unpack[UserChanges]) -> Record:
    """Change a member, and return it; what is absent stays.

    Raises Forbidden, or Conflict for the last admin and for a taken address (``email_taken``).
    """
    _demand_admin(caller, changes)
    disabling = changes.get("is_active") is False
    demoting = disabling or changes.get("role", "admin") != "admin"
    user = _locked(user_id, demoting=demoting, ends_sessions=disabling)
    if "email" in changes and changes["email"] != user.email:
        user.email_key, user.email_verified = _free_key(user_id, changes["email"]), False
        outbox.emit(EmailChanged(user_id=user_id, old_address=user.email or ""))
        audit.record("email.changed", audit.member(user_id))
    if disabling:
        user_disabling.run(user)
    _record(user, changes)
    apply_changes(user, changes)
    return get_user(caller, user_id)


def _record(user: User, changes: UserChanges) -> None:
    """Record a change of role or state."""
    if changes.get("role", user.role) != user.role:
        audit.record("user.role_changed", audit.member(user.id), data={"from": user.role, "to": changes["role"]})
    if changes.get("is_active", user.is_active) != user.is_active:
        audit.record("user.enabled" if changes["is_active"] else "user.disabled", audit.member(user.id))


def _free_key(user_id: int, email: str) -> str:
    """Return what a new address of a member is compared by. Raises Conflict (``email_taken``).

    Of two who take the same one at the same moment, the constraint refuses the second.
    """
    key = email_key(email)
    if db.session.scalar(select(exists().where(User.email_key == key, User.id != user_id))):
        raise conflict(EMAIL_TAKEN)
    return key


def delete_user(user_id: int) -> None:
    """Erase a person and what is theirs; the row stays for the books, under another name."""
    user = _locked(user_id, demoting=True, ends_sessions=True)
    user_deleting.run(user)
    idempotency.forget(user_id)
    audit.record("user.deleted", audit.member(user_id))
    audit.erase_addresses(user_id)
    user.name = DELETED_NAME
    user.email = user.email_key = user.password_hash = None
    user.is_active = user.email_verified = False
    user.role = "member"
    user.deleted_at = clock.now()


def _demand_admin(caller: Caller, changes: Mapping[str, Any]) -> None:
    if changes.keys() & {"role", "is_active"}:
        caller.demand(MANAGE)


def _locked(user_id: int, *, demoting: bool, ends_sessions: bool = False) -> User:
    """Return the member to change or delete, locked. Raises NotFound.

    With ``demoting``, raises Conflict unless another admin is active. The admins are then locked too, in the order of
    their ids, so that two of them cannot demote each other at once.
    """
    if demoting:
        active_admins = select(User.id).where(User.role == "admin", User.is_active).order_by(User.id)
        if list(db.session.scalars(active_admins.with_for_update(key_share=True))) == [user_id]:
            raise Conflict("The last active admin must stay one.", code="last_admin")
    # What is to end all sessions waits for whatever the member is writing or signing in with, which holds FOR KEY
    # SHARE; other changes need not.
    user = db.session.get(User, user_id, with_for_update={"key_share": not ends_sessions})
    if user is None or user.deleted_at is not None:
        raise NotFound
    return user
