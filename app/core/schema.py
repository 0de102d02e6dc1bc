"""The base Schema and its fields: strict about types, bounded, and the same on the way in and on the way out.

marshmallow loads what comes in; what goes out is read by ``representation``.
"""

import re
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar

from marshmallow import RAISE, ValidationError, fields, validate
from marshmallow import Schema as MarshmallowSchema

from app.core.caller import Caller
from app.core.errors import ValidationFailed

MAX_ID = 2**63 - 1
URL_LENGTH = 1_000
INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")
# RFC 3339, section 5.6; the hours of an offset are those of a day, and its minutes those of an hour.
RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
NO_NUL = r"^[^\u0000]*$"
# What str.strip() takes away, spelled out: \s means something else in each dialect of regular expressions.
SPACES = r"\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
NOT_BLANK = rf"^[^\u0000]*[^\u0000{SPACES}][^\u0000]*$"


class FromText(fields.Field[Any]):
    """A field whose value may also be sent as text: in a query, where there are no other types."""

    def from_text(self, text: str) -> Any:
        """Return the valid value that ``text`` stands for. Raises ValidationError.

        It takes the steps of ``deserialize`` that a text needs: it is neither missing nor null. A third of the time.
        """
        value = self._deserialize(self.read(text), None, None)
        for validator in self.validators:
            validator(value)
        return value

    def read(self, text: str) -> Any:
        """Return the JSON value that ``text`` stands for; what stands for none is left for the field to refuse."""
        return text


class Text(FromText, fields.String):
    """A text of ``least`` to ``most`` characters, kept as sent; not blank where at least one is asked for.

    ``error`` is said of a wrong one, whatever is wrong with it.
    """

    def __init__(self, least: int, most: int, *, error: str | None = None, **kwargs: Any) -> None:
        metadata = {"pattern": NOT_BLANK if least else NO_NUL, **kwargs.pop("metadata", {})}
        length = validate.Length(least, most, error=error or f"Must be {least} to {most} characters long.")
        super().__init__(validate=[length, *kwargs.pop("validate", [])], metadata=metadata, **kwargs)
        self.least, self.blank = least, error or "Must not be blank."

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("Must be a text.")
        if self.least and not value.strip():
            raise ValidationError(self.blank)
        return value


class UrlPath(Text):
    """The path of something of this service, shown below the prefix by which the client reaches the service."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"format": "uri-reference", **kwargs.pop("metadata", {})}
        super().__init__(1, URL_LENGTH, dump_only=True, metadata=metadata, **kwargs)


class Integer(FromText, fields.Integer):
    """A whole number from ``least`` to ``most``, written as a JSON integer: no text, no fraction, no exponent.

    ``error`` is said of a wrong one, whatever is wrong with it.
    """

    def __init__(self, least: int, most: int, *, error: str | None = None, **kwargs: Any) -> None:
        bounds = validate.Range(least, most, error=error or f"Must be from {least} to {most}.")
        super().__init__(strict=True, validate=bounds, **kwargs)
        self.no_integer = error or "Must be a whole number."

    def read(self, text: str) -> Any:
        """Return the number that ``text`` writes as JSON does."""
        return int(text) if INTEGER.fullmatch(text) else text

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if type(value) is not int:
            raise ValidationError(self.no_integer)
        return value


class Id(Integer):
    """The id of a thing: a positive integer of 64 bits."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, MAX_ID, **kwargs)


class Boolean(FromText, fields.Boolean):
    """``true`` or ``false``, and nothing that only resembles them."""

    def read(self, text: str) -> Any:
        """Return what ``text`` writes as JSON does."""
        return text == "true" if text in ("true", "false") else text

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value


class Choice(FromText, fields.String):
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


class Timestamp(FromText, fields.AwareDateTime):
    """A moment as RFC 3339 writes it, with its offset from UTC; shown in UTC with ``Z``."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            if not (isinstance(value, str) and RFC_3339.fullmatch(value)):
                raise ValueError
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):  # There is no such day, or it is before the year 1 or after 9999 in UTC.
            raise ValidationError("Must be a moment as RFC 3339 writes it, like 2026-01-31T12:00:00Z.") from None


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
def instance(schema: type[Schema]) -> Schema:
    """Return the one instance of ``schema`` that loads and describes: to make one costs more than to load with it."""
    return schema()


def load(schema: type[Schema], value: Any, *, partial: bool = False) -> dict[str, Any]:
    """Return the validated fields of a JSON ``value``; with ``partial`` none is required and absent ones stay absent.

    Raises ValidationFailed with flat field names, like ``lines.0.quantity``.
    """
    try:
        loaded: dict[str, Any] = instance(schema).load(value, partial=partial)
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
