"""The table of tokens that are mailed to members."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.base import NEVER_REUSE_IDS, Created, length_check, text_type
from app.users.models import EMAIL_LENGTH

RESET, VERIFICATION = PURPOSES = ("password-reset", "email-verification")
NONCE_LENGTH = 32


class AccountToken(Created):
    """A token that works once, until it expires, for one purpose; of each member and purpose the newest alone.

    What is kept is its nonce; the token is made from that and the service's key when the mail is sent.
    """

    __tablename__ = "account_tokens"
    __table_args__ = (
        UniqueConstraint("user_id", "purpose"),
        UniqueConstraint("nonce"),
        CheckConstraint(f"purpose IN {PURPOSES}", name="purpose"),
        length_check("address", EMAIL_LENGTH),
        Index(None, "expires_at"),
        NEVER_REUSE_IDS,
    )

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(text_type(20))
    address: Mapped[str] = mapped_column(text_type(EMAIL_LENGTH))  # to which it is mailed
    nonce: Mapped[str] = mapped_column(text_type(NONCE_LENGTH))
    expires_at: Mapped[datetime]
