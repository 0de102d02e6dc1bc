"""The table of files."""

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.base import NEVER_REUSE_IDS, Created, length_check, text_type
from app.core.http.multipart import NAME_LENGTH

TYPE_LENGTH = 100
KEY_LENGTH = 100
DIGEST_LENGTH = 64


class File(Created):
    """A file. Its bytes are in the storage, under a key that nobody can guess.

    ``is_public`` marks what a product shows. ``awaits_thumbnail`` is true of a picture until its thumbnail is made, or
    until it is known that there can be none.
    """

    __tablename__ = "files"
    __table_args__ = (
        length_check("name", NAME_LENGTH, least=1),
        length_check("content_type", TYPE_LENGTH, least=1),
        CheckConstraint("size > 0", name="size_positive"),
        CheckConstraint("(thumbnail_key IS NULL) = (thumbnail_size IS NULL)", name="thumbnail_size"),
        UniqueConstraint("storage_key"),
        UniqueConstraint("thumbnail_key"),
        Index(None, "user_id", "created_at", "id"),
        NEVER_REUSE_IDS,
    )

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(text_type(NAME_LENGTH))
    content_type: Mapped[str] = mapped_column(text_type(TYPE_LENGTH))
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(text_type(DIGEST_LENGTH))
    storage_key: Mapped[str] = mapped_column(text_type(KEY_LENGTH))
    is_public: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    awaits_thumbnail: Mapped[bool] = mapped_column(Boolean)
    thumbnail_key: Mapped[str | None] = mapped_column(text_type(KEY_LENGTH))
    thumbnail_size: Mapped[int | None]
