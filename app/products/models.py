"""The table of products."""

from datetime import datetime

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, Text, true
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.base import NEVER_REUSE_IDS, Searchable, length_check, text_type

NAME_LENGTH = 120
DESCRIPTION_LENGTH = 5_000
MAX_PRICE = 10**12  # minor units
MAX_STOCK = 10**9  # pieces


class Product(Searchable):
    """Something that a member offers. A withdrawn one is gone from sight, and kept for the orders that name it."""

    __tablename__ = "products"
    __table_args__ = (
        length_check("name", NAME_LENGTH, least=1),
        length_check("description", DESCRIPTION_LENGTH),
        CheckConstraint(f"price BETWEEN 0 AND {MAX_PRICE}", name="price_range"),
        CheckConstraint(f"stock BETWEEN 0 AND {MAX_STOCK}", name="stock_range"),
        Index(None, "created_at", "id"),
        Index(None, "price", "id"),
        Index(None, "name", "id"),
        Index(None, "seller_id", "created_at", "id"),
        Index(None, "image_id"),
        NEVER_REUSE_IDS,
    )
    searched = ("name", "description")

    seller_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(text_type(NAME_LENGTH))
    description: Mapped[str] = mapped_column(Text, default="", server_default="")
    price: Mapped[int]
    stock: Mapped[int]
    is_active: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    image_id: Mapped[int | None] = mapped_column(ForeignKey("files.id", ondelete="SET NULL"))
    withdrawn_at: Mapped[datetime | None]
