"""The table of rates."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.base import Base, length_check, text_type

CODE_LENGTH = 3
RATE_LENGTH = 32


class Rate(Base):
    """The last good rate of a currency: what one unit of ``base`` is worth in it.

    A text keeps every digit on both databases; SQLite would make a float of a number.
    """

    __tablename__ = "rates"
    __table_args__ = (
        length_check("base", CODE_LENGTH, least=CODE_LENGTH),
        length_check("currency", CODE_LENGTH, least=CODE_LENGTH),
        length_check("rate", RATE_LENGTH, least=1),
    )

    base: Mapped[str] = mapped_column(text_type(CODE_LENGTH), primary_key=True)
    currency: Mapped[str] = mapped_column(text_type(CODE_LENGTH), primary_key=True)
    rate: Mapped[str] = mapped_column(text_type(RATE_LENGTH))
    as_of: Mapped[datetime]
    fetched_at: Mapped[datetime]
