"""Cursors: the place after a row in an order, as text that a client hands back and cannot change.

The next page begins behind the last row's own values, so rows that are written meanwhile move nothing, and the cost
does not grow with the depth.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from flask import current_app
from marshmallow import fields
from sqlalchemy import ColumnElement, UnaryExpression, and_, bindparam, or_, tuple_
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from app.core.db.base import Record, UTCDateTime
from app.core.errors import BadRequest
from app.core.schema import FromText

# The columns of an order, and whether each is descending.
SortOrder = tuple[tuple[InstrumentedAttribute[Any], bool], ...]


class Cursor(FromText, fields.String):
    """A cursor that was sent: any text, of which ``read`` finds out whether it is one of ours."""


FIELD = Cursor(metadata={"pattern": r"^[A-Za-z0-9._-]*$"})


def sorted_by(order: SortOrder, among: ReadOnlyColumnCollection[str, Any] | None = None) -> list[UnaryExpression[Any]]:
    """Return the ORDER BY of ``order``; of the columns of these names ``among`` others, if given."""
    columns = [(among[column.key] if among is not None else column, descending) for column, descending in order]
    return [column.desc() if descending else column.asc() for column, descending in columns]


def fingerprint(path: str, parameters: Mapping[str, Any]) -> str:
    """Return what a cursor is bound to: the list, its sort and its filters."""
    return repr((path.rstrip("/"), sorted((name, str(value)) for name, value in parameters.items())))


def write(row: Record, order: SortOrder, bound_to: str) -> str:
    """Return the cursor of the place after ``row``: its values, and a signature of them."""
    values = orjson.dumps([getattr(row, column.key) for column, _ in order])
    place = urlsafe_b64encode(values).rstrip(b"=")
    return f"{place.decode()}.{_signature(place, bound_to).decode()}"


def read(text: str, order: SortOrder, bound_to: str) -> dict[str, Any]:
    """Return the values of the row that the cursor stands behind, as the parameters of the condition ``after``.

    Raises BadRequest (``invalid_cursor``) for one that was forged, changed, or made for another sort or filter.
    """
    place, _, signature = text.encode().rpartition(b".")
    if not hmac.compare_digest(signature, _signature(place, bound_to)):
        raise BadRequest("The cursor does not belong to this list, sort and filter.", code="invalid_cursor")
    values = orjson.loads(urlsafe_b64decode(place + b"=="))
    return {
        f"after_{number}": datetime.fromisoformat(value) if isinstance(column.type, UTCDateTime) else value
        for number, (value, (column, _)) in enumerate(zip(values, order, strict=True))
    }


def _signature(place: bytes, bound_to: str) -> bytes:
    """Return the HMAC (RFC 2104) of a place in one list; its base64 is compared as text, so no bit of it is spare."""
    key = current_app.config["SECRET_KEY"].encode()
    return urlsafe_b64encode(hmac.digest(key, b"cursor:%b\0%b" % (bound_to.encode(), place), "sha256")).rstrip(b"=")


def after(order: SortOrder) -> ColumnElement[bool]:
    """Return the condition for rows after the one whose values are the parameters ``after_0``, ``after_1``, ...

    In one direction it is a comparison of rows, which an index answers at once; in several it is spelled out.
    """
    columns = [column for column, _ in order]
    bound = [bindparam(f"after_{number}", type_=column.type) for number, column in enumerate(columns)]
    if len({descending for _, descending in order}) == 1:
        here, there = tuple_(*columns), tuple_(*bound)
        return here < there if order[0][1] else here > there
    return or_(
        *(
            and_(
                *(columns[before] == bound[before] for before in range(number)),
                column < bound[number] if descending else column > bound[number],
            )
            for number, (column, descending) in enumerate(order)
        )
    )
