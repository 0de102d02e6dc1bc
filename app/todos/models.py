"""The table of todos."""

from sqlalchemy import Boolean, ForeignKey, Index, false
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.base import NEVER_REUSE_IDS, Changeable, length_check, text_type

TASK_LENGTH = 500


class Todo(Changeable):
    """A todo. Nobody but its owner sees it."""

    __tablename__ = "todos"
    __table_args__ = (
        length_check("task", TASK_LENGTH, least=1),
        Index(None, "user_id", "created_at", "id"),
        Index(None, "user_id", "task", "id"),
        NEVER_REUSE_IDS,
    )

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    task: Mapped[str] = mapped_column(text_type(TASK_LENGTH))
    done: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
