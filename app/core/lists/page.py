"""One page of a list, found by number or by cursor."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from flask import current_app, request
from sqlalchemy import Integer, bindparam, literal_column, select, union_all

from app.core.caller import Caller
from app.core.db.base import Parts, Query, Record, Searchable
from app.core.db.prepared import is_prepared, prepared
from app.core.errors import ValidationFailed
from app.core.lists import counting, cursor, search
from app.core.lists.listing import Listing
from app.core.representation import dump_all
from app.core.request_state import request_state
from app.core.unit_of_work import execute

NEWEST_FIRST = ["-created_at"]
STATEMENT_CACHE_SIZE = 256  # statements that are kept
LINK_SIZE = 3_000  # characters of a Link header with more than one relation
UNUSUAL = {"page", "per_page", "sort"}  # what makes pages of too many kinds to prepare them all
LIMIT, OFFSET = bindparam("limit", type_=Integer()), bindparam("offset", type_=Integer())
# What may change from one page to the next; all else is what the cursor was made for.
UNBOUND = ("cursor", "per_page", "fields", "count")


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
    if "cursor" in sent and "page" in sent:
        raise ValidationFailed(errors={"page": ["A cursor takes the place of a page."]})
    page = _page_by_cursor if "cursor" in sent else _page_by_number
    with search.limited() if "q" in sent else nullcontext():
        return page(listing, narrowed, order, sent, size=size, caller=caller)


def _page_by_number(
    listing: Listing, parts: Parts, order: cursor.SortOrder, sent: Mapping[str, Any], *, size: int, caller: Caller
) -> Page:
    page = sent.get("page", 1)
    found = counting.count(listing.found(parts, _words(sent))) if sent.get("count") != "none" else None
    pages = None if found is None else -(-found // size)
    values = {"limit": size + 1, "offset": (page - 1) * size}
    rows = [] if found == 0 else _rows(listing, parts, order, sent, values=values)
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
    return search.words_of(sent.get("q", ""))


def _rows(
    listing: Listing, parts: Parts, order: cursor.SortOrder, sent: Mapping[str, Any], *, values: Mapping[str, Any]
) -> Sequence[Record]:
    words = _words(sent)
    if issubclass(listing.model, Searchable) and len(parts) == 1 and search.has_trigrams(words):
        after = _after(parts[0], order) if sent.get("cursor") else parts[0]
        return search.rows(listing.model, after, words, order=order, values=values)
    found = listing.found(parts, words)
    if len(found) == 1:
        statement = _page_statement(found[0], order, bool(sent.get("cursor")), values["limit"], bool(values["offset"]))
        is_usual = is_prepared(found[0]) and not UNUSUAL & sent.keys()
        return execute(prepared(statement) if is_usual else statement, values).all()
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
    together = union_all(*(select(first_rows) for first_rows in parts_of_page)).subquery()
    return select(together).order_by(*cursor.sorted_by(order, together.c)).limit(LIMIT).offset(OFFSET)


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
    path = request_state().prefix + request.path
    others = [(name, value) for name, value in request.args.items() if name != parameter]
    links = [
        f'<{path}?{urlencode([*others, (parameter, target)])}>; rel="{relation}"'
        for relation, target in targets.items()
        if target is not None
    ]
    while len(links) > 1 and len(", ".join(links)) > LINK_SIZE:
        links.pop()
    return ", ".join(links)
