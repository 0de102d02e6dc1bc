"""The tables of the audit log.

Rows are only ever added: triggers in the database refuse to change one, but for erasing its address, and to delete one
that the purge has not declared expired.
"""

from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import JSON, CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.base import NEVER_REUSE_IDS, Base, Created, length_check, text_type
from app.core.http.client_address import ADDRESS_LENGTH

# The database has no CHECK of these words: for a further one, a table that may be large would have to be read through.
Action = Literal[
    "session.created",
    "session.failed",
    "session.ended",
    "token.reused",
    "password.changed",
    "password.reset",
    "email.changed",
    "user.role_changed",
    "user.disabled",
    "user.enabled",
    "user.deleted",
    "deposit.created",
    "withdrawal.created",
    "transfer.reversed",
    "post.hidden",
    "post.deleted",
    "product.withdrawn",
]
ACTIONS: tuple[Action, ...] = get_args(Action)
SubjectType = Literal["user", "session", "transfer", "post", "product"]
SUBJECT_TYPES: tuple[SubjectType, ...] = get_args(SubjectType)
WORD_LENGTH = 40
HAS_SECOND_OWNER: Any = dict.fromkeys(("postgresql_where", "sqlite_where"), text("second_owner_id IS NOT NULL"))


class AuditRecord(Created):
    """One act. A member sees those of which the member is the actor or an owner of the subject.

    ``owner_id`` of a member who is the subject is the member; the two parties of a transfer both own it. There are no
    foreign keys: a member's row always stays, and to check one would lock it.
    """

    __tablename__ = "audit"
    __table_args__ = (
        length_check("action", WORD_LENGTH, least=1),
        length_check("address", ADDRESS_LENGTH),
        CheckConstraint("(subject_type IS NULL) = (subject_id IS NULL)", name="subject"),
        Index(None, "created_at", "id"),
        Index(None, "action", "created_at", "id"),
        Index(None, "actor_id", "created_at", "id"),
        Index(None, "owner_id", "created_at", "id"),
        Index(None, "second_owner_id", "created_at", "id", **HAS_SECOND_OWNER),
        NEVER_REUSE_IDS,
    )

    action: Mapped[str] = mapped_column(text_type(WORD_LENGTH))
    actor_id: Mapped[int | None]
    subject_type: Mapped[str | None] = mapped_column(text_type(WORD_LENGTH))
    subject_id: Mapped[int | None]
    owner_id: Mapped[int | None]
    second_owner_id: Mapped[int | None]
    address: Mapped[str | None] = mapped_column(text_type(ADDRESS_LENGTH))
    request_id: Mapped[str | None] = mapped_column(text_type(128))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)


class AuditExpiry(Base):
    """The one row that says before which moment audit records have expired, and so may be deleted."""

    __tablename__ = "audit_expiry"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"), NEVER_REUSE_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    expired_before: Mapped[datetime]
