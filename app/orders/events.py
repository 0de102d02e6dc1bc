"""The events of orders."""

from dataclasses import dataclass

from app.core.background.events import Event


@dataclass(frozen=True, kw_only=True)
class OrderEvent(Event):
    """Something has become of an order. ``total``: minor units. ``by``: the member who did it, None for the service."""

    order_id: int
    buyer_id: int
    seller_id: int
    total: int
    by: int | None


class OrderPlaced(OrderEvent):
    """A buyer has placed an order."""

    name = "order.placed"


class OrderCompleted(OrderEvent):
    """An order is completed, and its seller paid."""

    name = "order.completed"


class OrderCancelled(OrderEvent):
    """An order is cancelled; stock and credits have gone back."""

    name = "order.cancelled"
