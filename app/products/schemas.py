"""What comes in and goes out of products."""

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import fields

from app.core.caller import Caller
from app.core.schema import Boolean, Id, Integer, Schema, Text, Timestamp, UrlPath
from app.products.models import DESCRIPTION_LENGTH, MAX_PRICE, MAX_STOCK, NAME_LENGTH
from app.rates.schemas import PriceSchema
from app.users.models import NAME_LENGTH as SELLER_LENGTH


class ProductSchema(Schema):
    """A product, with its seller's name."""

    id = Id(dump_only=True)
    seller_id = Id(dump_only=True)
    seller = Text(*SELLER_LENGTH, dump_only=True)
    name = Text(1, NAME_LENGTH, required=True)
    description = Text(0, DESCRIPTION_LENGTH, load_default="")
    price = Integer(0, MAX_PRICE, required=True, metadata={"description": "Minor units of the community's credits."})
    stock = Integer(0, MAX_STOCK, required=True, metadata={"description": "Pieces at hand."})
    is_active = Boolean(load_default=True, metadata={"description": "Whether it can be ordered."})
    image_id = Id(load_default=None, allow_none=True, metadata={"description": "A picture that the seller uploaded."})
    image_url = UrlPath(allow_none=True)
    created_at = Timestamp(dump_only=True)
    updated_at = Timestamp(dump_only=True)
    price_in = fields.Nested(
        PriceSchema,
        dump_only=True,
        allow_none=True,
        metadata={"description": "Only with the parameter `currency`; `null` without a rate at hand."},
    )

    private: ClassVar[frozenset[str]] = frozenset({"price_in"})

    @classmethod
    def sees_private(cls, item: Any, _caller: Caller) -> bool:
        """Return whether the caller has asked for a price in another currency."""
        return isinstance(item, Mapping)
