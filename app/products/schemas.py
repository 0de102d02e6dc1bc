"""What comes in and goes out of products."""

from app.core.schema import Boolean, Id, Integer, Schema, Text, Timestamp
from app.files.schemas import URL_LENGTH
from app.products.models import DESCRIPTION_LENGTH, MAX_PRICE, MAX_STOCK, NAME_LENGTH
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
    image_url = Text(1, URL_LENGTH, dump_only=True, allow_none=True)
    created_at = Timestamp(dump_only=True)
    updated_at = Timestamp(dump_only=True)
