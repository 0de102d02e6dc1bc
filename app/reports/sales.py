"""A member's own products: what was sold of each, and by which orders.

An order belongs to the period in which it was placed. What is completed is revenue; what is still in escrow is shown
apart; what was cancelled is not shown.
"""

from collections.abc import Iterator
from typing import Any

from flask import current_app
from sqlalchemy import BigInteger, cast, func, select

from app.core.db.base import Query, Record
from app.extensions import db
from app.orders.models import CANCELLED, COMPLETED, PLACED, Order, OrderLine
from app.products.models import Product
from app.reports.content import (
    SALES,
    Column,
    Is,
    Months,
    Period,
    Progress,
    Report,
    Table,
    Values,
    add_up,
    pages,
    year_and_month,
)
from app.users.models import User

REVENUE = Column("revenue", "Revenue", Is.MONEY)
ESCROW = Column("in_escrow", "In escrow", Is.MONEY)
ORDERS = Column("orders", "Orders", Is.NUMBER)
OPEN_ORDERS = Column("open_orders", "Open orders", Is.NUMBER)
PRODUCT_COLUMNS = (
    Column("product_id", "No.", Is.ID),
    Column("product", "Product", Is.TEXT),
    Column("pieces", "Pieces", Is.NUMBER),
    REVENUE,
    Column("open_pieces", "Open pieces", Is.NUMBER),
    ESCROW,
)
ORDER_COLUMNS = (
    Column("created_at", "Date (UTC)", Is.MOMENT),
    Column("order_id", "Order", Is.ID),
    Column("buyer", "Buyer", Is.TEXT),
    Column("status", "Status", Is.WORD),
    Column("pieces", "Pieces", Is.NUMBER),
    Column("amount", "Amount", Is.MONEY),
)


def sales(owner: Record, period: Period, progress: Progress) -> Report:
    """Return what a member has sold. Reads as of one moment."""
    months = Months(REVENUE, ESCROW, ORDERS, OPEN_ORDERS)
    for year, month, revenue, in_escrow, orders, open_orders in db.session.execute(_by_month(owner.id, period)):
        months.add(year, month, revenue=revenue, in_escrow=in_escrow, orders=orders, open_orders=open_orders)
    orders = _orders(owner.id, period, progress)
    products = _products(owner.id, period, progress)
    offered = db.session.scalar(select(func.count()).where(Product.seller_id == owner.id)) or 0
    return Report(
        kind=SALES,
        title="Sales",
        owner=owner.name,
        period=period,
        currency=current_app.config["CURRENCY"],
        totals=tuple((column, months.total(column.name)) for column in months.columns),
        months=months.table(),
        chart=("revenue", "in_escrow"),
        tables=(
            Table("products", "product", "Products", PRODUCT_COLUMNS, products, rank="revenue"),
            Table("orders", "order", "Orders", ORDER_COLUMNS, orders),
        ),
        work=offered + months.total("orders") + months.total("open_orders"),
    )


def _sold(user_id: int, period: Period) -> Any:
    return (Order.seller_id == user_id) & (Order.status != CANCELLED) & period.holds(Order.created_at)


def _by_month(user_id: int, period: Period) -> Query:
    month = year_and_month(Order.created_at)
    sums = (add_up(what, Order.status == status) for what in (Order.total, 1) for status in (COMPLETED, PLACED))
    return select(*month, *sums).where(_sold(user_id, period)).group_by(*month)


def _products(user_id: int, period: Period, progress: Progress) -> Iterator[Values]:
    """Return the products of which there was an order, with sums that the database makes page by page."""
    amounts = OrderLine.quantity, OrderLine.unit_price * OrderLine.quantity
    sums = (add_up(amount, Order.status == status) for status in (COMPLETED, PLACED) for amount in amounts)
    sold = (
        select(OrderLine.product_id, *sums)
        .join(Order, Order.id == OrderLine.order_id)
        .where(_sold(user_id, period))
        .group_by(OrderLine.product_id)
        .order_by(OrderLine.product_id)
    )
    offered = select(Product.id, Product.name).where(Product.seller_id == user_id)
    for page in pages(offered, Product.id, progress=progress):
        names = {product.id: product.name for product in page}
        for product_id, *added_up in db.session.execute(sold.where(OrderLine.product_id.in_(names))):
            yield product_id, names[product_id], *added_up


def _orders(user_id: int, period: Period, progress: Progress) -> Iterator[Values]:
    """Return the orders, the oldest first."""
    pieces = select(func.sum(OrderLine.quantity)).where(OrderLine.order_id == Order.id).scalar_subquery()
    shown = Order.created_at, Order.id, User.name, Order.status, cast(pieces, BigInteger), Order.total
    query = select(*shown).join(User, User.id == Order.buyer_id).where(_sold(user_id, period))
    for page in pages(query, Order.created_at, Order.id, progress=progress):
        yield from map(tuple, page)
