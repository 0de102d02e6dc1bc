"""Lists: one page of a query, with what is needed to find the others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import current_app, request
from sqlalchemy import func

from app.core.caller import Caller
from app.core.errors import BadRequest, ValidationFailed
from app.core.models import Query, Row
from app.core.schema import Schema, dump
from app.extensions import db

MAX_NUMBER = 2**31 - 1


@dataclass(frozen=True)
class Listing:
    """What a list publishes: the plural name of its items, how one is shown, and the table that orders them."""

    name: str
    schema: type[Schema]
    model: type[Row]


@dataclass(frozen=True)
class Parameter:
    """A query parameter: what it means, its JSON schema for the document, and how its text is read."""

    name: str
    meaning: str
    json_schema: dict[str, Any]
    parse: Callable[[str], Any]


def _number(text: str) -> int:
    """Read a number from 1 to 2^31-1 in ASCII digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= MAX_NUMBER):
        raise ValueError(f"Must be a whole number from 1 to {MAX_NUMBER}.")
    return int(text)


def _number_parameter(name: str, meaning: str) -> Parameter:
    return Parameter(name, meaning, {"type": "integer", "minimum": 1, "maximum": MAX_NUMBER}, _number)


PAGE = _number_parameter("page", "The page, counted from 1. One past the end is empty.")
PER_PAGE = _number_parameter("per_page", "Items on a page; more than the maximum is served as the maximum.")
PAGING = (PAGE, PER_PAGE)


def parameters_of(listing: Listing | None) -> tuple[Parameter, ...]:
    """Give the query parameters that an endpoint takes; one that is no list takes none."""
    return PAGING if listing else ()


def read_parameters(known: tuple[Parameter, ...]) -> dict[str, Any]:
    """Give the values of the query parameters that were sent. Raises BadRequest for one unknown, sent twice or bad."""
    if not request.query_string:
        return {}
    by_name = {parameter.name: parameter for parameter in known}
    values: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name, texts in request.args.lists():
        if name not in by_name:
            raise BadRequest(f"Unknown parameter: {name[:50]}.", code="unknown_parameter")
        if len(texts) > 1:
            errors[name] = ["Given more than once."]
            continue
        try:
            values[name] = by_name[name].parse(texts[0])
        except ValueError as error:
            errors[name] = [str(error)]
    if errors:
        raise ValidationFailed(errors=errors)
    return values


def page_of(listing: Listing, query: Query, sent: dict[str, Any], *, caller: Caller) -> dict[str, Any]:
    """Give one page of ``query``, newest first, as the envelope that every list has: two statements, whatever its size.

    Takes the parameters that were ``sent``; needs the columns that the listing's schema shows.
    """
    page = sent.get("page", 1)
    per_page = min(sent.get("per_page", current_app.config["PAGE_SIZE_DEFAULT"]), current_app.config["PAGE_SIZE_MAX"])
    total = db.session.scalar(query.with_only_columns(func.count(), maintain_column_froms=True)) or 0
    newest_first = query.order_by(listing.model.created_at.desc(), listing.model.id.desc())
    rows = db.session.execute(newest_first.limit(per_page).offset((page - 1) * per_page))
    pages = -(-total // per_page)
    return {
        listing.name: [dump(listing.schema, row, caller) for row in rows],
        "page": page,
        "per_page": per_page,
        "total": total,
        "pages": pages,
        "has_more": page < pages,
    }


def link_header(page: int, pages: int) -> str:
    """Give the Link header (RFC 8288) of a page: first, prev, next and last, with all other parameters kept."""
    last = max(pages, 1)
    targets = {"first": 1, "last": last}
    if page > 1:
        targets["prev"] = min(page - 1, last)
    if page < pages:
        targets["next"] = page + 1
    others = [(name, value) for name, value in request.args.items() if name != "page"]
    return ", ".join(
        f'<{request.path}?{urlencode([*others, ("page", number)])}>; rel="{relation}"'
        for relation, number in targets.items()
    )
