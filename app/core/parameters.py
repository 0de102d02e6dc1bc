"""Query parameters: the fields of schemas, read from text. An unknown or a repeated one is never ignored."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask import request
from marshmallow import ValidationError, fields

from app.core.caller import Caller
from app.core.errors import BadRequest, ValidationFailed
from app.core.schema import MAX_ID, NOT_BLANK, Boolean, Choice, FromText, Integer, List, Text, Timestamp

MAX_NUMBER = 2**31 - 1
MAX_TEXT = 200


class CommaSeparated(List):
    """One to ``most`` different values, separated by commas."""

    def __init__(self, item: FromText, most: int) -> None:
        super().__init__(item, 1, most, metadata={"uniqueItems": True})
        self.item, self.most = item, most

    def from_text(self, text: str) -> list[Any]:
        """Return the valid values that ``text`` stands for. Raises ValidationError."""
        parts = text.split(",")
        if len(parts) > self.most or len(set(parts)) < len(parts):
            raise ValidationError(f"Must be 1 to {self.most} different values, separated by commas.")
        return [self.item.from_text(part) for part in parts]


@dataclass(frozen=True)
class Parameter:
    """A query parameter: its name, what it means, and the field that its value is validated by."""

    name: str
    meaning: str
    field: FromText | CommaSeparated
    permission: str | None = None


def read_parameters(known: Iterable[Parameter], caller: Caller) -> dict[str, Any]:
    """Return the values of the query parameters that were sent.

    Raises BadRequest for one that is not ``known``, or not to this caller, and for one sent twice or of a bad value.
    """
    if not request.query_string:
        return {}
    by_name = {p.name: p for p in known if p.permission is None or caller.may(p.permission)}
    values: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name, texts in request.args.lists():
        if name not in by_name:
            raise BadRequest(f"Unknown parameter: {name[:50]}.", code="unknown_parameter")
        if len(texts) > 1:
            errors[name] = ["Given more than once."]
            continue
        try:
            values[name] = by_name[name].field.from_text(texts[0])
        except ValidationError as error:
            errors[name] = list(map(str, error.messages))
    if errors:
        raise ValidationFailed(errors=errors)
    return values


def short_text(pattern: str, **kwargs: Any) -> Text:
    """Return the field of a text to compare with, of which the document says that it matches ``pattern``."""
    error = f"Must be 1 to {MAX_TEXT} characters long, and not blank."
    return Text(1, MAX_TEXT, error=error, metadata={"pattern": pattern}, **kwargs)


PAGE_NUMBER = Integer(1, MAX_NUMBER, error=f"Must be a whole number from 1 to {MAX_NUMBER}.")
WHOLE_NUMBER = Integer(-MAX_ID, MAX_ID, error="Must be a whole number of 64 bits.")
TRUE_OR_FALSE = Boolean()
MOMENT = Timestamp()
SHORT_TEXT = short_text(NOT_BLANK)
WITHOUT_COMMA = short_text(NOT_BLANK.replace(r"\u0000", r"\u0000,"))


def compared_with(field: fields.Field[Any]) -> FromText:
    """Return the field of a value that a schema's field is compared with: of its type, whatever its own bounds are."""
    match field:
        case Choice():
            return Choice(*field.choices)
        case fields.Integer():
            return WHOLE_NUMBER
        case fields.Boolean():
            return TRUE_OR_FALSE
        case fields.DateTime():
            return MOMENT
    return SHORT_TEXT


def one_of_several(field: FromText, most: int) -> CommaSeparated:
    """Return the field of up to ``most`` values of ``field``."""
    return CommaSeparated(WITHOUT_COMMA if field is SHORT_TEXT else field, most)
