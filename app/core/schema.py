"""The base Schema and its fields: strict about types, bounded, and the same on the way in and on the way out.

marshmallow loads what comes in. What goes out is read from a row or an entity by name, by a function made once per
schema: a field's name is the name of the attribute that it shows.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any, ClassVar

from marshmallow import RAISE, ValidationError, fields, validate
from marshmallow import Schema as MarshmallowSchema
from sqlalchemy import Row

from app.core.caller import Caller
from app.core.errors import ValidationFailed

MAX_ID = 2**63 - 1
NO_NUL = r"^[^\u0000]*$"
# What str.strip() takes away, spelled out: \s means something else in each dialect of regular expressions.
SPACES = r"\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
NOT_BLANK = rf"^[^\u0000]*[^\u0000{SPACES}][^\u0000]*$"


class Text(fields.String):
    """A text of ``least`` to ``most`` characters, kept as sent; not blank where at least one is asked for."""

    def __init__(self, least: int, most: int, **kwargs: Any) -> None:
        metadata = {"pattern": NOT_BLANK if least else NO_NUL, **kwargs.pop("metadata", {})}
        length = validate.Length(least, most, error=f"Must be {least} to {most} characters long.")
        super().__init__(validate=[length, *kwargs.pop("validate", [])], metadata=metadata, **kwargs)
        self.least = least

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("Must be a text.")
        if self.least and not value.strip():
            raise ValidationError("Must not be blank.")
        return value


class Integer(fields.Integer):
    """A whole number from ``least`` to ``most``, written as a JSON integer: no text, no fraction, no exponent."""

    def __init__(self, least: int, most: int, **kwargs: Any) -> None:
        bounds = validate.Range(least, most, error=f"Must be from {least} to {most}.")
        super().__init__(strict=True, validate=bounds, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if type(value) is not int:
            raise ValidationError("Must be a whole number.")
        return value


class Id(Integer):
    """The id of a thing: a positive integer of 64 bits."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, MAX_ID, **kwargs)


class Boolean(fields.Boolean):
    """``true`` or ``false``, and nothing that only resembles them."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value


class Choice(fields.String):
    """One of a few words."""

    def __init__(self, *choices: str, **kwargs: Any) -> None:
        one_of = validate.OneOf(choices, error=f"Must be one of {', '.join(choices)}.")
        super().__init__(validate=one_of, **kwargs)
        self.choices = choices

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("Must be a text.")
        return value


class Email(Text):
    """An e-mail address as HTML's input element takes it, so that no browser refuses what we accept.

    https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address
    """

    LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    PATTERN = rf"^[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{LABEL}(?:\.{LABEL})+$"

    def __init__(self, most: int, **kwargs: Any) -> None:
        super().__init__(3, most, metadata={"pattern": self.PATTERN}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not re.fullmatch(self.PATTERN, text):
            raise ValidationError("Must be an e-mail address.")
        return text


class Timestamp(fields.AwareDateTime):
    """A moment, shown as RFC 3339 in UTC with ``Z``."""


class List(fields.List[Any]):
    """A list of ``least`` to ``most`` items, whose number is checked before any of them is validated."""

    def __init__(self, item: fields.Field[Any], least: int, most: int, *, noun: str = "items", **kwargs: Any) -> None:
        self.length = validate.Length(least, most, error=f"Must be {least} to {most} {noun}.")
        super().__init__(item, validate=self.length, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if isinstance(value, list):
            self.length(value)
        return super()._deserialize(value, attr, data, **kwargs)


class Schema(MarshmallowSchema):
    """What comes in and what goes out of one resource; what it does not name is refused."""

    # Fields that not every caller sees; sees_private() decides.
    private: ClassVar[frozenset[str]] = frozenset()

    class Meta:
        """Unknown fields are an error, those that are only shown among them."""

        unknown = RAISE

    error_messages: ClassVar[dict[str, str]] = {  # type: ignore[misc]
        "unknown": "Unknown field, or one that is only read.",
        "type": "Must be a JSON object.",
    }

    @classmethod
    def sees_private(cls, _item: Any, _caller: Caller) -> bool:
        """Return whether ``caller`` sees the private fields of ``item``."""
        return True


@cache
def _loader(schema: type[Schema]) -> Schema:
    return schema()


def load(schema: type[Schema], value: Any, *, partial: bool = False) -> dict[str, Any]:
    """Return the validated fields of a JSON ``value``; with ``partial`` none is required and absent ones stay absent.

    Raises ValidationFailed with flat field names, like ``lines.0.quantity``.
    """
    try:
        loaded: dict[str, Any] = _loader(schema).load(value, partial=partial)
    except ValidationError as error:
        raise ValidationFailed(errors=_flat(error.messages)) from None
    return loaded


def _flat(messages: Any, prefix: str = "") -> dict[str, list[str]]:
    if isinstance(messages, dict):
        flat: dict[str, list[str]] = {}
        for key, nested in messages.items():
            flat |= _flat(nested, f"{prefix}.{key}" if prefix else str(key))
        return flat
    return {prefix or "_schema": [str(message) for message in messages]}


def dump_all(schema: type[Schema], items: Sequence[Any], caller: Caller) -> list[dict[str, Any]]:
    """Return the representations of ``items``, all of one kind, that ``caller`` sees."""
    if items and isinstance(items[0], Row) and not schema.private and not _nested(schema):
        return list(map(_row_reader(schema, items[0]._fields), items))
    return [dump(schema, item, caller) for item in items]


def dump(schema: type[Schema], item: Any, caller: Caller) -> dict[str, Any]:
    """Return the representation of ``item`` (a row, an entity or a mapping) that ``caller`` sees."""
    whole = not schema.private or schema.sees_private(item, caller)
    if isinstance(item, Row):  # Its columns are read by name in a quarter of the time that its attributes take.
        values = _reader(schema, whole, from_mapping=True)(item._mapping)
    else:
        values = _reader(schema, whole, from_mapping=isinstance(item, Mapping))(item)
    for name, nested in _nested(schema):
        if values.get(name) is not None:
            values[name] = dump(nested, values[name], caller)
    return values


@cache
def _reader(schema: type[Schema], whole: bool, *, from_mapping: bool) -> Callable[[Any], dict[str, Any]]:
    """Make the function that reads a schema's fields off an item: C code but for one call."""
    names = _shown(schema, whole)
    get: Any = itemgetter(*names) if from_mapping else attrgetter(*names)
    return _naming(names, get)


@cache
def _row_reader(schema: type[Schema], columns: tuple[str, ...]) -> Callable[[Any], dict[str, Any]]:
    """Make the function that reads a schema's fields off a row, by the places of their columns."""
    names = _shown(schema, whole=True)
    return _naming(names, itemgetter(*map(columns.index, names)))


def _shown(schema: type[Schema], whole: bool) -> tuple[str, ...]:
    shown = [name for name, field in _loader(schema).fields.items() if not field.load_only]
    return tuple(name for name in shown if whole or name not in schema.private)


def _naming(names: tuple[str, ...], get: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    """Make the function that gives the values that ``get`` gets their names; of a single one it gets no tuple."""
    if len(names) == 1:
        return lambda item: {names[0]: get(item)}
    return lambda item: dict(zip(names, get(item), strict=True))


@cache
def _nested(schema: type[Schema]) -> tuple[tuple[str, type[Schema]], ...]:
    found = _loader(schema).fields.items()
    return tuple((name, type(field.schema)) for name, field in found if isinstance(field, fields.Nested))  # type: ignore[misc]
