"""The table of members."""

from datetime import datetime

from sqlalchemy import Boolean, CheckConstraint, Index, UniqueConstraint, false, true
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.base import NEVER_REUSE_IDS, Searchable, length_check, text_type
from app.core.db.constraints import DeclaredError
from app.core.permissions import ROLES

NAME_LENGTH = (2, 80)
EMAIL_LENGTH = 120
DELETED_NAME = "deleted member"
EMAIL_TAKEN: DeclaredError = {
    "field": "email",
    "code": "email_taken",
    "message": "This e-mail address has an account already.",
}


class User(Searchable):
    """A member. The row of a deleted one stays, without the person: the books refer to it."""

    __tablename__ = "users"
    searched = ("name",)
    __table_args__ = (
        UniqueConstraint(
            "email_key",
            info={"error": EMAIL_TAKEN},
        ),
        CheckConstraint("role IN ({})".format(", ".join(f"'{role}'" for role in ROLES)), name="role"),
        CheckConstraint("(deleted_at IS NULL) = (email IS NOT NULL)", name="erased"),
        length_check("name", NAME_LENGTH[1], least=NAME_LENGTH[0]),
        length_check("email", EMAIL_LENGTH),
        Index(None, "created_at", "id"),
        Index(None, "name", "id"),
        NEVER_REUSE_IDS,
    )

    name: Mapped[str] = mapped_column(text_type(NAME_LENGTH[1]))
    email: Mapped[str | None] = mapped_column(text_type(EMAIL_LENGTH))
    email_key: Mapped[str | None] = mapped_column(text_type(EMAIL_LENGTH))
    password_hash: Mapped[str | None] = mapped_column(text_type(255))
    role: Mapped[str] = mapped_column(text_type(20), default="member", server_default="member")
    is_active: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    notify_by_email: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    email_verified: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    deleted_at: Mapped[datetime | None]


def email_key(email: str) -> str:
    """Return what an address is compared by: addresses that differ only in case are one."""
    return email.casefold()
