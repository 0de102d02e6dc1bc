"""The one JSON encoder: of successes and errors, and of what somebody's own Flask view returns."""

import json
from decimal import Decimal
from typing import Any

import orjson
from flask.json.provider import JSONProvider

OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS


def encode(value: Any) -> bytes:
    """Return ``value`` as JSON (RFC 8259) in UTF-8, moments as RFC 3339 with ``Z``, a Decimal as text.

    Raises TypeError for what JSON cannot say.
    """
    return orjson.dumps(value, _text_of, OPTIONS)


def _text_of(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON.")


class OrjsonProvider(JSONProvider):
    """Flask's JSON by the same encoder: https://flask.palletsprojects.com/en/stable/api/#flask.json.provider.JSONProvider."""

    def dumps(self, obj: Any, **_kwargs: Any) -> str:
        """Return ``obj`` as JSON; there is one format, so arguments for another one are not heeded."""
        return encode(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return the value of a JSON text. Raises ValueError."""
        return json.loads(s, **kwargs)
