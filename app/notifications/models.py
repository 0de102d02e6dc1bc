"""The table of notifications."""

from typing import Any

from sqlalchemy import JSON, Boolean, CheckConstraint, ForeignKey, Index, false
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.base import NEVER_REUSE_IDS, Changeable, text_type

KINDS = (
    "order_placed",
    "order_completed",
    "order_cancelled",
    "transfer_received",
    "report_ready",
    "import_done",
)


class Notification(Changeable):
    """A notification of a member. Its message is made when it is read: a name is erased with the person."""

    __tablename__ = "notifications"
    __table_args__ = (
        CheckConstraint("kind IN ({})".format(", ".join(f"'{kind}'" for kind in KINDS)), name="kind"),
        Index(None, "user_id", "created_at", "id"),
        NEVER_REUSE_IDS,
    )

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))  # whom the sentence names
    kind: Mapped[str] = mapped_column(text_type(20))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    read: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
