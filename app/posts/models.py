"""The table of posts."""

from sqlalchemy import Boolean, ForeignKey, Index, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.base import NEVER_REUSE_IDS, Searchable, length_check, text_type

TITLE_LENGTH = 200
CONTENT_LENGTH = 50_000


class Post(Searchable):
    """A post. A hidden one is seen by its author and by moderators."""

    __tablename__ = "posts"
    searched = ("title", "content")
    __table_args__ = (
        length_check("title", TITLE_LENGTH, least=1),
        length_check("content", CONTENT_LENGTH, least=1),
        Index(None, "created_at", "id"),
        Index(None, "updated_at", "id"),
        Index(None, "title", "id"),
        # With the column that decides who sees a post, so that all are counted in the index alone.
        Index(None, "user_id", "created_at", "id", postgresql_include=["is_hidden"]),
        NEVER_REUSE_IDS,
    )

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str] = mapped_column(text_type(TITLE_LENGTH))
    content: Mapped[str] = mapped_column(Text)
    is_hidden: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
