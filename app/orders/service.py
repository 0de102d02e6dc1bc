"""The rules of orders: stock and credits change together, or not at all.

Rows are locked in one order everywhere: the order, its products by id, then the accounts by id.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import case, insert, or_, select, update

from app.core import clock
from app.core.background import outbox
from app.core.caller import Caller
from app.core.db.base import Parts, Record, where_any
from app.core.errors import Conflict, Forbidden, NotFound, ValidationFailed
from app.core.rows import one_or_not_found
from app.extensions import db
from app.orders.events import OrderCancelled, OrderCompleted, OrderEvent, OrderPlaced
from app.orders.models import CANCELLED, COMPLETED, PLACED, Order, OrderLine
from app.products.models import MAX_STOCK, Product
from app.users.models import User
from app.wallet.ledger import locked_account, locked_accounts, open_escrow_account, post_transfer
from app.wallet.models import MAX_AMOUNT

OPEN_FOR = timedelta(days=14)

SHOWN = (
    Order.id,
    Order.buyer_id,
    Order.seller_id,
    Order.status,
    Order.total,
    Order.created_at,
    Order.updated_at,
)
Lines = list[dict[str, Any]]


def list_orders(caller: Caller) -> Parts:
    """Return the queries of the orders that the caller has placed, and of those received."""
    return where_any(select(*SHOWN), caller.member_id, Order.buyer_id, Order.seller_id)


def with_lines(orders: Sequence[Record], _sent: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Add to orders their lines: one query, however many orders."""
    shown = (OrderLine.product_id, OrderLine.name, OrderLine.unit_price, OrderLine.quantity)
    of_these = OrderLine.order_id.in_([order.id for order in orders])
    lines: dict[int, Lines] = defaultdict(list)
    for order_id, *values in db.session.execute(
        select(OrderLine.order_id, *shown).where(of_these).order_by(OrderLine.id)
    ):
        lines[order_id].append(dict(zip((column.key for column in shown), values, strict=True)))
    return [{**order._mapping, "lines": lines[order.id]} for order in orders]


def get_order(caller: Caller, order_id: int) -> dict[str, Any]:
    """Return an order with its lines. Raises NotFound for one that is not the caller's."""
    order = one_or_not_found(select(*SHOWN).where(Order.id == order_id))
    if caller.id not in (order.buyer_id, order.seller_id):
        raise NotFound
    return with_lines([order], {})[0]


def create_order(caller: Caller, *, lines: Lines) -> dict[str, Any]:
    """Place an order: take the stock, and transfer the total from the buyer into escrow.

    Raises ValidationFailed, NotFound for an unknown product, or Conflict: ``product_inactive``, ``out_of_stock``,
    ``insufficient_funds``.
    """
    seller_id = _seller_of(caller, [line["product_id"] for line in lines])
    products = _take_stock(lines)
    total = sum(products[line["product_id"]].price * line["quantity"] for line in lines)
    if total > MAX_AMOUNT:
        raise ValidationFailed(errors={"lines": [f"The total is above {MAX_AMOUNT}."]})
    escrow_id = _pay_into_escrow(caller.member_id, total) if total else None
    new = insert(Order).values(buyer_id=caller.member_id, seller_id=seller_id, total=total, escrow_id=escrow_id)
    order = db.session.execute(new.returning(*SHOWN)).one()
    rows = [
        {
            "product_id": line["product_id"],
            "name": products[line["product_id"]].name,
            "unit_price": products[line["product_id"]].price,
            "quantity": line["quantity"],
        }
        for line in lines
    ]
    db.session.execute(insert(OrderLine), [{**row, "order_id": order.id} for row in rows])
    _emit(OrderPlaced, order, by=caller.member_id)
    return {**order._mapping, "lines": rows}


def _take_stock(lines: Lines) -> dict[int, Record]:
    """Take the pieces of each line, in the order of the products' ids; return the products."""
    return {line["product_id"]: _take(**line) for line in sorted(lines, key=lambda line: line["product_id"])}


def _take(*, product_id: int, quantity: int) -> Record:
    now = clock.now()
    there = Product.id == product_id, Product.withdrawn_at.is_(None)
    taken = (
        update(Product)
        .where(*there, Product.is_active, Product.stock >= quantity)
        .values(
            stock=Product.stock - quantity, updated_at=case((Product.updated_at < now, now), else_=Product.updated_at)
        )
        .returning(Product.id, Product.name, Product.price, Product.seller_id)
        .execution_options(synchronize_session=False)
    )
    product: Record | None = db.session.execute(taken).one_or_none()
    if product is not None:
        return product
    active = db.session.scalar(select(Product.is_active).where(*there))
    if active is None:
        raise NotFound(f"There is no product {product_id}.")
    if not active:
        raise Conflict(f"The product {product_id} cannot be ordered now.", code="product_inactive")
    raise Conflict(f"There are fewer than {quantity} pieces of the product {product_id}.", code="out_of_stock")


def _seller_of(caller: Caller, product_ids: list[int]) -> int:
    """Return the one seller of all products, who is another and active."""
    for number, product_id in enumerate(product_ids):
        if product_id in product_ids[:number]:
            raise ValidationFailed(errors={f"lines.{number}.product_id": ["Names a product twice."]})
    there = Product.id.in_(product_ids), Product.withdrawn_at.is_(None)
    query = select(Product.id, Product.seller_id).where(*there)
    found = {product.id: product.seller_id for product in db.session.execute(query)}
    for product_id in product_ids:
        if product_id not in found:
            raise NotFound(f"There is no product {product_id}.")
    sellers = set(found.values())
    if len(sellers) > 1:
        raise ValidationFailed(errors={"lines": ["All products of an order are of one seller."]})
    seller_id: int = sellers.pop()
    if seller_id == caller.member_id:
        raise ValidationFailed(errors={"lines": ["You cannot order your own products."]})
    active = select(User.is_active).where(User.id == seller_id).with_for_update(read=True, key_share=True)
    if not db.session.scalar(active):
        raise Conflict("The seller is away.", code="product_inactive")
    return seller_id


def _pay_into_escrow(buyer_id: int, total: int) -> int:
    (buyer,) = locked_accounts(buyer_id)
    escrow = open_escrow_account()
    post_transfer(buyer, escrow, kind="order", amount=total)
    escrow_id: int = escrow.id
    return escrow_id


def open_order(caller: Caller, order_id: int) -> Order:
    """Return one of the caller's orders, locked, to be completed or cancelled. Raises NotFound."""
    order = _locked(order_id)
    if order is None or caller.id not in (order.buyer_id, order.seller_id):
        raise NotFound
    return order


def _locked(order_id: int) -> Order | None:
    return db.session.get(Order, order_id, with_for_update=True, populate_existing=True)


def complete_order(caller: Caller, order: Order) -> dict[str, Any]:
    """Pay the seller from the escrow. Raises Forbidden for others than the buyer, Conflict unless it is placed."""
    if caller.id != order.buyer_id:
        raise Forbidden("Only the buyer completes an order.")
    _complete(order, by=caller.id)
    return get_order(caller, order.id)


def _complete(order: Order, *, by: int | None) -> None:
    _close(order, COMPLETED)
    _pay_out(order, "payout", order.seller_id)
    _emit(OrderCompleted, order, by=by)


def cancel_order(caller: Caller, order: Order) -> dict[str, Any]:
    """Cancel an order: stock and credits go back. Raises Conflict unless it is placed."""
    _close(order, CANCELLED)
    _restore_stock(order)
    _pay_out(order, "refund", order.buyer_id)
    _emit(OrderCancelled, order, by=caller.member_id)
    return get_order(caller, order.id)


def _close(order: Order, status: str) -> None:
    if order.status != PLACED:
        raise Conflict(f"The order is {order.status} already.", code="order_not_open")
    order.status = status
    db.session.flush()


def _emit(event: type[OrderEvent], order: Order | Record, *, by: int | None) -> None:
    parties = {"buyer_id": order.buyer_id, "seller_id": order.seller_id}
    outbox.emit(event(order_id=order.id, **parties, total=order.total, by=by))


def _pay_out(order: Order, kind: str, user_id: int) -> None:
    if order.escrow_id is None:
        return
    (member,) = locked_accounts(user_id, active=False)
    post_transfer(locked_account(order.escrow_id), member, kind=kind, amount=order.total)


def _restore_stock(order: Order) -> None:
    lines = select(OrderLine.product_id, OrderLine.quantity).where(OrderLine.order_id == order.id)
    for product_id, quantity in db.session.execute(lines.order_by(OrderLine.product_id)).all():
        product = db.session.get_one(Product, product_id, with_for_update=True)
        product.stock = min(product.stock + quantity, MAX_STOCK)
        db.session.flush()


def due_orders() -> list[int]:
    """Return the ids of the orders that have been open for 14 days, the oldest first."""
    due = Order.status == PLACED, Order.created_at <= clock.now() - OPEN_FOR
    return list(db.session.scalars(select(Order.id).where(*due).order_by(Order.created_at)))


def complete_due_order(order_id: int) -> bool:
    """Complete an order that has been open for too long; return whether it still was. Runs inside a unit of work."""
    order = _locked(order_id)
    if order is None or order.status != PLACED:
        return False
    _complete(order, by=None)
    return True


def refuse_with_open_orders(user: User) -> None:
    """Keep a member with an open order from being deleted."""
    mine = or_(Order.buyer_id == user.id, Order.seller_id == user.id)
    if db.session.scalar(select(Order.id).where(mine, Order.status == PLACED).limit(1)) is not None:
        raise Conflict("An order is still open.", code="account_not_empty")
