"""The table of imports: which file has become rows, and up to where."""

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.base import NEVER_REUSE_IDS, Created, text_type


class Import(Created):
    """A member's file, known by its content, so that the same one again creates nothing.

    ``line`` is the last line that has become a row; it moves on in the transaction that writes the rows, so that a
    worker that takes over goes on behind it. ``made`` counts the rows that the job ``job_id`` has made.
    """

    __tablename__ = "imports"
    __table_args__ = (UniqueConstraint("user_id", "sha256"), NEVER_REUSE_IDS)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    sha256: Mapped[str] = mapped_column(text_type(64))
    line: Mapped[int] = mapped_column(default=0)
    job_id: Mapped[int]
    made: Mapped[int] = mapped_column(default=0)
