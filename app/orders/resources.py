"""Orders at their URLs."""

from typing import Any

from app.core.caller import Caller
from app.core.errors import Conflict, Forbidden, NotFound
from app.core.lists.listing import Filter, Listing
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.orders import service
from app.orders.models import Order
from app.orders.schemas import NewOrderSchema, OrderSchema

ORDERS = Listing(
    "orders",
    OrderSchema,
    Order,
    sort={"created_at": Order.created_at, "total": Order.total},
    filters={
        "buyer_id": Filter(Order.buyer_id),
        "seller_id": Filter(Order.seller_id),
        "status": Filter(Order.status),
        "created_at": Filter(Order.created_at),
    },
    extend=service.with_lines,
)


class OrderList(Resource):
    """The caller's orders."""

    @endpoint(permission="order:read", listing=ORDERS)
    def get(self, caller: Caller) -> Any:
        """List the orders that you have placed or received."""
        return service.list_orders(caller)

    @endpoint(
        permission="order:write",
        body=NewOrderSchema,
        response=OrderSchema,
        status=201,
        location="/api/v1/orders/{id}",
        errors=(NotFound, Conflict),
    )
    def post(self, caller: Caller, **fields: Any) -> Any:
        """Order products of one seller: takes the stock, and the total into escrow.

        409 `product_inactive`, `out_of_stock` or `insufficient_funds`.
        """
        return service.create_order(caller, **fields)


class OrderItem(Resource):
    """One of the caller's orders."""

    @endpoint(permission="order:read", response=OrderSchema, errors=(NotFound,))
    def get(self, caller: Caller, order_id: int) -> Any:
        """Read an order that you have placed or received."""
        return service.get_order(caller, order_id)


class Completion(Resource):
    """The good end of an order."""

    @endpoint(
        permission="order:write",
        load=service.open_order,
        response=OrderSchema,
        errors=(NotFound, Forbidden, Conflict),
    )
    def post(self, caller: Caller, order: Order) -> Any:
        """Complete an order that you have placed: the seller is paid. 409 `order_not_open`."""
        return service.complete_order(caller, order)


class Cancellation(Resource):
    """The other end of an order."""

    @endpoint(
        permission="order:write",
        load=service.open_order,
        response=OrderSchema,
        errors=(NotFound, Conflict),
    )
    def post(self, caller: Caller, order: Order) -> Any:
        """Cancel an order that you have placed or received: stock and credits go back. 409 `order_not_open`."""
        return service.cancel_order(caller, order)
