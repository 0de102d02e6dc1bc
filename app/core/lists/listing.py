"""Lists: what one publishes. A resource declares its sortable keys, its filters and its searched text.

All else follows from that: ``page.py`` finds a page of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from app.core.db.base import Created, Parts, Query, Record, Searchable
from app.core.errors import ValidationFailed
from app.core.lists import cursor, search
from app.core.parameters import (
    PAGE_NUMBER,
    TRUE_OR_FALSE,
    CommaSeparated,
    Parameter,
    compared_with,
    one_of_several,
)
from app.core.schema import Choice, Schema

MAX_VALUES = 100  # of an ``in``

Column = InstrumentedAttribute[Any]
COMPARISONS: dict[str, tuple[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "": ("is", eq),
    "__ne": ("is not", ne),
    "__gt": ("is greater than", gt),
    "__gte": ("is at least", ge),
    "__lt": ("is less than", lt),
    "__lte": ("is at most", le),
    "__in": ("is one of", lambda column, values: column.in_(values)),
}

EQUALITIES = ("", "__ne", "__in")  # all that makes sense of true and false


@dataclass(frozen=True)
class Filter:
    """A field that a list can be filtered by.

    ``column``: what it is compared with. ``permission``: who may use it; to others it does not exist. ``prepare``:
    what becomes of a value before it is compared.
    """

    column: Column
    permission: str | None = None
    prepare: Callable[[Any], Any] = field(default=lambda value: value)


@dataclass(frozen=True)
class Listing:
    """What a list publishes: the plural name of its items, how one is shown, its table, sort keys and filters.

    The text of a Searchable ``model`` can be searched with ``q``. ``extend`` gives the items for the rows of a page and
    the parameters that were sent, where an item has more than its row.
    """

    name: str
    schema: type[Schema]
    model: type[Created]
    sort: Mapping[str, Column]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    extend: Callable[[Sequence[Record], Mapping[str, Any]], Sequence[Any]] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a list that cannot show the newest first, as every one does unless asked otherwise."""
        if "created_at" not in self.sort:
            raise ValueError(f"The list {self.name} needs created_at among its sort keys.")

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The query parameters that the list takes."""
        keys = [sign + key for key in self.sort for sign in ("", "-")]
        shown = [name for name, described in self.schema().fields.items() if not described.load_only]
        always = [
            Parameter("page", "The page, counted from 1. One past the end is empty.", PAGE_NUMBER),
            Parameter("per_page", "Items on a page; more than the maximum is served as the maximum.", PAGE_NUMBER),
            Parameter("count", "`none`: do not count; `total` and `pages` are null.", Choice("none")),
            Parameter("cursor", "Page by key: empty to begin, then each answer's `next_cursor`.", cursor.FIELD),
            Parameter(
                "sort", "Keys in the order of their weight; `-` turns one around.", CommaSeparated(Choice(*keys), 8)
            ),
            Parameter("fields", "Show only these fields of each item.", CommaSeparated(Choice(*shown), len(shown))),
        ]
        if issubclass(self.model, Searchable):
            always.append(Parameter("q", search.MEANING, search.FIELD))
        return (*always, *(parameter for name in self.filters for parameter in self._filter_parameters(name)))

    def _filter_parameters(self, name: str) -> list[Parameter]:
        field = compared_with(self.schema().fields[name])
        permission = self.filters[name].permission

        def parameter(suffix: str, words: str) -> Parameter:
            compared = one_of_several(field, MAX_VALUES) if suffix == "__in" else field
            return Parameter(name + suffix, f"Whose `{name}` {words} this.", compared, permission)

        suffixes = EQUALITIES if field is TRUE_OR_FALSE else COMPARISONS
        return [parameter(suffix, COMPARISONS[suffix][0]) for suffix in suffixes]

    def narrow(self, query: Query, sent: Mapping[str, Any]) -> Query:
        """Apply the filters that were sent."""
        for name, sent_value in sent.items():
            base, _, _operator = name.partition("__")
            if base in self.filters:
                filter_ = self.filters[base]
                several = isinstance(sent_value, list)
                value = [filter_.prepare(one) for one in sent_value] if several else filter_.prepare(sent_value)
                query = query.where(COMPARISONS[name.removeprefix(base)][1](filter_.column, value))
        return query

    def found(self, parts: Parts, words: Sequence[str]) -> Parts:
        """Apply the search for ``words``."""
        if not (words and issubclass(self.model, Searchable)):
            return parts
        conditions = search.matches(self.model, words)
        return tuple(part.where(*conditions) for part in parts)

    def order(self, keys: list[str]) -> cursor.SortOrder:
        """Return the order that ``keys`` ask for; it ends with the id, in the direction of the first key."""
        order = [(self.sort[key.removeprefix("-")], key.startswith("-")) for key in keys]
        if len({column.key for column, _ in order}) < len(order):
            raise ValidationFailed(errors={"sort": ["Names a key twice."]})
        id_column: Column = self.model.id
        return (*order, (id_column, order[0][1]))
