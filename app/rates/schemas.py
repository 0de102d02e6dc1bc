"""What goes out of rates, and how a currency is asked for."""

from app.core.parameters import FieldType
from app.core.schema import Boolean, Integer, Schema, Text, Timestamp
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


def _code(text: str) -> str:
    if not CODE.fullmatch(text):
        raise ValueError("Must be three capital letters.")
    return text


CURRENCY = FieldType(_code, {"type": "string", "pattern": "^[A-Z]{3}$"})
