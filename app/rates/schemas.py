"""What goes out of rates, and how a currency is asked for."""

from typing import Any

from marshmallow import ValidationError, fields

from app.core.schema import Boolean, FromText, Integer, Schema, Text, Timestamp
from app.rates.conversion import MOST
from app.rates.models import CODE_LENGTH, RATE_LENGTH
from app.rates.source import CODE

AS_OF = {"description": "The beginning of the day that the rate is of."}


class RateSchema(Schema):
    """What one unit of the community's currency is worth in another."""

    currency = Text(CODE_LENGTH, CODE_LENGTH, dump_only=True)
    rate = Text(1, RATE_LENGTH, dump_only=True, metadata={"description": "A positive decimal number."})
    as_of = Timestamp(dump_only=True, metadata=AS_OF)
    stale = Boolean(dump_only=True, metadata={"description": "Whether it is the last good one, and not a fresh one."})


class PriceSchema(Schema):
    """A price in another currency."""

    currency = Text(CODE_LENGTH, CODE_LENGTH, dump_only=True)
    amount = Integer(0, MOST, dump_only=True, metadata={"description": "Minor units of that currency (ISO 4217)."})
    as_of = Timestamp(dump_only=True, metadata=AS_OF)


class Currency(FromText, fields.String):
    """The code of a currency (ISO 4217)."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not (isinstance(value, str) and CODE.fullmatch(value)):
            raise ValidationError("Must be three capital letters.")
        return value


CURRENCY = Currency(metadata={"pattern": "^[A-Z]{3}$"})
