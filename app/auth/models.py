"""Sessions and the refresh tokens that were issued for them."""

from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Index, false
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.base import NEVER_REUSE_IDS, Base, Changeable, length_check, text_type
from app.core.http.client_address import ADDRESS_LENGTH

AGENT_LENGTH = 200
# A spent refresh token still works for this long: two tabs of a browser may refresh at the same moment.
OVERLAP = timedelta(seconds=10)


class Session(Changeable):
    """A session: one member, signed in on one device. Its tokens live as long as this row.

    ``fresh_until``: until then it may do what needs a fresh sign-in. ``remember``: its cookies outlive the browser.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        length_check("address", ADDRESS_LENGTH),
        length_check("agent", AGENT_LENGTH),
        Index(None, "user_id", "created_at", "id"),
        NEVER_REUSE_IDS,
    )

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    address: Mapped[str] = mapped_column(text_type(ADDRESS_LENGTH))
    agent: Mapped[str] = mapped_column(text_type(AGENT_LENGTH))
    fresh_until: Mapped[datetime | None]
    remember: Mapped[bool] = mapped_column(default=False, server_default=false())


class RefreshToken(Base):
    """A refresh token that was issued, by its ``jti``. Spent ones are kept, so that a stolen one is noticed."""

    __tablename__ = "refresh_tokens"

    jti: Mapped[str] = mapped_column(text_type(36), primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    spent_at: Mapped[datetime | None]
