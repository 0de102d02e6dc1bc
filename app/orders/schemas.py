"""What comes in and goes out of orders."""

from marshmallow import fields

from app.core.schema import Choice, Id, Integer, List, Schema, Text, Timestamp
from app.orders.models import MAX_LINES, MAX_QUANTITY, STATUSES
from app.products.models import MAX_PRICE, NAME_LENGTH
from app.wallet.models import MAX_AMOUNT
from app.wallet.schemas import MINOR_UNITS


class NewLineSchema(Schema):
    """What is ordered, and how many pieces of it."""

    product_id = Id(required=True)
    quantity = Integer(1, MAX_QUANTITY, required=True)


class NewOrderSchema(Schema):
    """An order to be placed."""

    lines = List(fields.Nested(NewLineSchema), 1, MAX_LINES, noun="lines", required=True)


class LineSchema(Schema):
    """What was ordered, by the name and at the price that it had then."""

    product_id = Id(dump_only=True)
    name = Text(1, NAME_LENGTH, dump_only=True)
    unit_price = Integer(0, MAX_PRICE, dump_only=True, metadata=MINOR_UNITS)
    quantity = Integer(1, MAX_QUANTITY, dump_only=True)


class OrderSchema(Schema):
    """An order."""

    id = Id(dump_only=True)
    buyer_id = Id(dump_only=True)
    seller_id = Id(dump_only=True)
    status = Choice(*STATUSES, dump_only=True)
    total = Integer(0, MAX_AMOUNT, dump_only=True, metadata=MINOR_UNITS)
    lines = fields.List(fields.Nested(LineSchema), dump_only=True)
    created_at = Timestamp(dump_only=True)
    updated_at = Timestamp(dump_only=True)
