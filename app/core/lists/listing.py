"""Lists: what one publishes, and one page of it, found by number or by cursor.

A resource declares its sortable keys, its filters and its searched text; all else follows from that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from operator import eq, ge, gt, le, lt, ne
from typing import Any
from urllib.parse import urlencode

from flask import current_app, request
from sqlalchemy import ColumnElement, Integer, bindparam, literal_column, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from app.core.caller import Caller
from app.core.db.base import Created, Parts, Query, Record, Searchable, fold
from app.core.db.prepared import is_prepared, prepared
from app.core.errors import ValidationFailed
from app.core.lists import counting, cursor, search
from app.core.parameters import (
    PAGE_NUMBER,
    SHORT_TEXT,
    TRUE_OR_FALSE,
    FieldType,
    Parameter,
    list_of,
    one_of,
    type_of,
)
from app.core.schema import Schema, dump_all
from app.core.unit_of_work import execute

NEWEST_FIRST = ["-created_at"]
MAX_VALUES = 100  # of an ``in``
STATEMENT_CACHE_SIZE = 256  # statements that are kept
LINK_SIZE = 3_000  # characters of a Link header with more than one relation
UNUSUAL = {"page", "per_page", "sort"}  # what makes pages of too many kinds to prepare them all
LIMIT, OFFSET = bindparam("limit", type_=Integer()), bindparam("offset", type_=Integer())

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

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The query parameters that the list takes."""
        keys = [sign + key for key in self.sort for sign in ("", "-")]
        shown = [name for name, described in self.schema().fields.items() if not described.load_only]
        always = [
            Parameter("page", "The page, counted from 1. One past the end is empty.", PAGE_NUMBER),
            Parameter("per_page", "Items on a page; more than the maximum is served as the maximum.", PAGE_NUMBER),
            Parameter("count", "`none`: do not count; `total` and `pages` are null.", one_of("none")),
            Parameter("cursor", "Walk by key: empty to begin, then each answer's `next_cursor`.", cursor.TYPE),
            Parameter("sort", "Keys in the order of their weight; `-` turns one around.", list_of(one_of(*keys), 8)),
            Parameter("fields", "Show only these fields of each item.", list_of(one_of(*shown), len(shown))),
        ]
        if issubclass(self.model, Searchable):
            always.append(Parameter("q", "Contains each of these words, whatever their case.", SHORT_TEXT))
        return (*always, *(parameter for name in self.filters for parameter in self._filter_parameters(name)))

    def _filter_parameters(self, name: str) -> list[Parameter]:
        kind = type_of(self.schema().fields[name])
        permission = self.filters[name].permission

        def parameter(suffix: str, words: str) -> Parameter:
            compared: FieldType = list_of(kind, MAX_VALUES) if suffix == "__in" else kind
            return Parameter(name + suffix, f"Whose `{name}` {words} this.", compared, permission)

        suffixes = EQUALITIES if kind is TRUE_OR_FALSE else COMPARISONS
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


@dataclass(frozen=True)
class Page:
    """One page: the envelope to answer with, and the Link header that leads to the others."""

    body: dict[str, Any]
    link: str


def page_of(listing: Listing, query: Query | Parts, sent: Mapping[str, Any], *, caller: Caller) -> Page:
    """Return the page of ``query`` that the parameters ``sent`` ask for.

    At most two statements, whatever the size of the page; one more where there are more than 10,000 rows to count, and
    one more where what is searched for is rare.
    """
    parts = query if isinstance(query, tuple) else (query,)
    narrowed = tuple(listing.narrow(part, sent) for part in parts)
    order = listing.order(sent.get("sort", NEWEST_FIRST))
    size = min(sent.get("per_page", current_app.config["PAGE_SIZE_DEFAULT"]), current_app.config["PAGE_SIZE_MAX"])
    if "cursor" in sent:
        if "page" in sent:
            raise ValidationFailed(errors={"page": ["A cursor takes the place of a page."]})
        return _page_by_cursor(listing, narrowed, order, sent, size=size, caller=caller)
    return _page_by_number(listing, narrowed, order, sent, size=size, caller=caller)


def _page_by_number(
    listing: Listing, parts: Parts, order: cursor.SortOrder, sent: Mapping[str, Any], *, size: int, caller: Caller
) -> Page:
    page = sent.get("page", 1)
    found = counting.count(listing.found(parts, _words(sent))) if sent.get("count") != "none" else None
    pages = None if found is None else -(-found // size)
    rows = _rows(listing, parts, order, sent, values={"limit": size + 1, "offset": (page - 1) * size})
    has_more = len(rows) > size if pages is None else page < pages
    body = {
        listing.name: _shown(listing, rows[:size], sent, caller),
        "page": page,
        "per_page": size,
        "total": found,
        "pages": pages,
        "has_more": has_more,
    }
    last = None if pages is None else max(pages, 1)
    previous = page - 1 if last is None else min(page - 1, last)
    targets = {"next": page + 1 if has_more else None, "prev": previous or None, "first": 1, "last": last}
    return Page(body, _link("page", targets))


def _page_by_cursor(
    listing: Listing, parts: Parts, order: cursor.SortOrder, sent: Mapping[str, Any], *, size: int, caller: Caller
) -> Page:
    bound_to = cursor.fingerprint(request.path, {key: value for key, value in sent.items() if key not in UNBOUND})
    place = cursor.read(sent["cursor"], order, bound_to) if sent["cursor"] else {}
    rows = _rows(listing, parts, order, sent, values={"limit": size + 1, "offset": 0, **place})
    has_more = len(rows) > size
    next_cursor = cursor.write(rows[size - 1], order, bound_to) if has_more else None
    body = {
        listing.name: _shown(listing, rows[:size], sent, caller),
        "per_page": size,
        "has_more": has_more,
        "next_cursor": next_cursor,
    }
    return Page(body, _link("cursor", {"next": next_cursor, "first": ""}))


def _words(sent: Mapping[str, Any]) -> list[str]:
    return fold(sent.get("q", "")).split()


def _rows(
    listing: Listing, parts: Parts, order: cursor.SortOrder, sent: Mapping[str, Any], *, values: Mapping[str, Any]
) -> Sequence[Record]:
    words = _words(sent)
    if issubclass(listing.model, Searchable) and len(parts) == 1 and search.has_trigrams(words):
        after = _after(parts[0], order) if sent.get("cursor") else parts[0]
        return search.rows(listing.model, after, words, order=order, values=values)
    found = listing.found(parts, words)
    if len(found) == 1:
        walk = _page_statement(found[0], order, bool(sent.get("cursor")), values["limit"], bool(values["offset"]))
        is_usual = is_prepared(found[0]) and not UNUSUAL & sent.keys()
        return execute(prepared(walk) if is_usual else walk, values).all()
    parts_of_page = tuple(_after(part, order) for part in found) if sent.get("cursor") else found
    return execute(_merged(parts_of_page, order, values["offset"] + values["limit"]), values).all()


@lru_cache(STATEMENT_CACHE_SIZE)
def _page_statement(query: Query, order: cursor.SortOrder, from_cursor: bool, limit: int, skips: bool) -> Query:
    """Return the statement of one page of ``query``: built once for one that a service holds as a constant.

    To build it takes as long as to execute it. The limit is a part of it: a plan for any limit would be one for many.
    """
    selected = _after(query, order) if from_cursor else query
    page = selected.order_by(*cursor.sorted_by(order)).limit(literal_column(str(limit), Integer()))
    return page.offset(OFFSET) if skips else page


def _after(query: Query, order: cursor.SortOrder) -> Query:
    return query.where(cursor.after(order))


def _merged(parts: Parts, order: cursor.SortOrder, most: int) -> Query:
    """Put the first rows of each part in one order."""
    parts_of_page = [part.order_by(*cursor.sorted_by(order)).limit(most).subquery() for part in parts]
    together = union_all(*(select(walk) for walk in parts_of_page)).subquery()
    return select(together).order_by(*cursor.sorted_by(order, together.c)).limit(LIMIT).offset(OFFSET)


# What may change from one page to the next; all else is what the cursor was made for.
UNBOUND = ("cursor", "per_page", "fields", "count")


def _shown(listing: Listing, rows: Sequence[Record], sent: Mapping[str, Any], caller: Caller) -> list[dict[str, Any]]:
    extended = listing.extend(rows, sent) if listing.extend else rows
    items = dump_all(listing.schema, extended, caller)
    if "fields" not in sent:
        return items
    wanted = set(sent["fields"])
    return [{name: value for name, value in item.items() if name in wanted} for item in items]


def _link(parameter: str, targets: Mapping[str, Any]) -> str:
    """Return the Link header (RFC 8288) of ``targets``, most needed first; every other parameter is kept.

    Each relation repeats the query, and a proxy answers 503 for a head that does not fit its buffer, often 4 kB. So the
    first is always there, and the others as long as all are no longer than LINK_SIZE.
    """
    others = [(name, value) for name, value in request.args.items() if name != parameter]
    links = [
        f'<{request.path}?{urlencode([*others, (parameter, target)])}>; rel="{relation}"'
        for relation, target in targets.items()
        if target is not None
    ]
    while len(links) > 1 and len(", ".join(links)) > LINK_SIZE:
        links.pop()
    return ", ".join(links)
