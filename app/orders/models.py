"""The tables of orders."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db.base import NEVER_REUSE_IDS, Base, Changeable, length_check, text_type
from app.products.models import MAX_PRICE, NAME_LENGTH
from app.wallet.models import MAX_AMOUNT

PLACED, COMPLETED, CANCELLED = STATUSES = ("placed", "completed", "cancelled")
MAX_LINES = 50
MAX_QUANTITY = 10**6


class Order(Changeable):
    """An order of one member's products by another; its total is in escrow while it is placed."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("escrow_id"),
        CheckConstraint("status IN ({})".format(", ".join(f"'{status}'" for status in STATUSES)), name="status"),
        CheckConstraint(f"total BETWEEN 0 AND {MAX_AMOUNT}", name="total_range"),
        CheckConstraint("buyer_id <> seller_id", name="two_parties"),
        Index(None, "buyer_id", "created_at", "id"),
        Index(None, "seller_id", "created_at", "id"),
        Index(None, "buyer_id", "total", "id"),
        Index(None, "seller_id", "total", "id"),
        Index(None, "status", "created_at"),
        NEVER_REUSE_IDS,
    )

    buyer_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    seller_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    status: Mapped[str] = mapped_column(text_type(10), default=PLACED)
    total: Mapped[int]
    escrow_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))


class OrderLine(Base):
    """So many pieces of a product, by the name and at the price that it had when it was ordered."""

    __tablename__ = "order_lines"
    __table_args__ = (
        UniqueConstraint("order_id", "product_id"),
        length_check("name", NAME_LENGTH, least=1),
        CheckConstraint(f"unit_price BETWEEN 0 AND {MAX_PRICE}", name="unit_price_range"),
        CheckConstraint(f"quantity BETWEEN 1 AND {MAX_QUANTITY}", name="quantity_range"),
        NEVER_REUSE_IDS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), index=True)
    name: Mapped[str] = mapped_column(text_type(NAME_LENGTH))
    unit_price: Mapped[int]
    quantity: Mapped[int]
