"""Query parameters: read strictly, and described for the document. An unknown or a repeated one is never ignored."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import request
from marshmallow import fields

from app.core.caller import Caller
from app.core.errors import BadRequest, ValidationFailed
from app.core.schema import MAX_ID, NOT_BLANK, Choice

MAX_NUMBER = 2**31 - 1
MAX_TEXT = 200
RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")

Json = dict[str, Any]


@dataclass(frozen=True)
class FieldType:
    """A kind of value: how its text is read (raising ValueError with a reason), and its JSON schema."""

    parse: Callable[[str], Any]
    json_schema: Json


@dataclass(frozen=True)
class Parameter:
    """A query parameter: its name, what it means, and the type of its value."""

    name: str
    meaning: str
    type: FieldType
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
            values[name] = by_name[name].type.parse(texts[0])
        except ValueError as error:
            errors[name] = [str(error)]
    if errors:
        raise ValidationFailed(errors=errors)
    return values


def _page_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= MAX_NUMBER):
        raise ValueError(f"Must be a whole number from 1 to {MAX_NUMBER}.")
    return int(text)


def _integer(text: str) -> int:
    if not INTEGER.fullmatch(text) or abs(int(text)) > MAX_ID:
        raise ValueError("Must be a whole number of 64 bits.")
    return int(text)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("Must be true or false.")
    return text == "true"


def _timestamp(text: str) -> datetime:
    try:
        if not RFC_3339.fullmatch(text):
            raise ValueError
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("Must be a moment as RFC 3339 writes it, like 2026-01-31T12:00:00Z.") from None


def _text(text: str) -> str:
    if not (text.strip() and len(text) <= MAX_TEXT):
        raise ValueError(f"Must be 1 to {MAX_TEXT} characters long, and not blank.")
    return text


def one_of(*choices: str) -> FieldType:
    """The kind of a value that is one of a few words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"Must be one of {', '.join(choices)}.")
        return text

    return FieldType(parse, {"type": "string", "enum": list(choices)})


def list_of(kind: FieldType, most: int) -> FieldType:
    """The kind of up to ``most`` different values, separated by commas."""

    def parse(text: str) -> list[Any]:
        parts = text.split(",")
        if len(parts) > most or len(set(parts)) < len(parts):
            raise ValueError(f"Must be 1 to {most} different values, separated by commas.")
        return [kind.parse(part) for part in parts]

    items = kind.json_schema
    if "pattern" in items:
        items = {**items, "pattern": items["pattern"].replace(r"\u0000", r"\u0000,")}
    return FieldType(parse, {"type": "array", "items": items, "minItems": 1, "maxItems": most, "uniqueItems": True})


PAGE_NUMBER = FieldType(_page_number, {"type": "integer", "minimum": 1, "maximum": MAX_NUMBER})
WHOLE_NUMBER = FieldType(_integer, {"type": "integer", "minimum": -MAX_ID, "maximum": MAX_ID})
TRUE_OR_FALSE = FieldType(_boolean, {"type": "boolean"})
MOMENT = FieldType(_timestamp, {"type": "string", "format": "date-time"})
SHORT_TEXT = FieldType(_text, {"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "pattern": NOT_BLANK})


def type_of(field: fields.Field[Any]) -> FieldType:
    """Return the kind of value that a schema's field is compared with."""
    match field:
        case Choice():
            return one_of(*field.choices)
        case fields.Integer():
            return WHOLE_NUMBER
        case fields.Boolean():
            return TRUE_OR_FALSE
        case fields.DateTime():
            return MOMENT
    return SHORT_TEXT
