"""Searching: which rows contain some words, and how the first of them are found.

On PostgreSQL an index of trigrams (pg_trgm) serves LIKE itself; on SQLite a table beside the searched one, which
triggers keep, narrows the rows that LIKE is asked about. A word that many rows contain is found sooner without an
index, among the rows that come first; how many contain it no planner knows, so it is tried there for a bounded number
of rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, column, select, table
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.elements import SQLCoreOperations

from app.core.db.base import Query, Record, Searchable
from app.core.lists import cursor
from app.core.unit_of_work import execute
from app.extensions import db

TRIGRAM = 3  # characters; an index of trigrams knows nothing of a shorter word
NEAR = 2_000  # rows that are looked through, in the order of the list, before the index is asked


def has_trigrams(words: Sequence[str]) -> bool:
    """Return whether an index of trigrams can help to find the ``words``."""
    return any(len(word) >= TRIGRAM for word in words)


def matches(model: type[Searchable], words: Sequence[str]) -> list[ColumnElement[bool]]:
    """Return the conditions for rows whose text contains each of the folded ``words``."""
    conditions = _contains(model.search_text, words)
    long = [word for word in words if has_trigrams([word])]
    if long and db.engine.dialect.name == sqlite.dialect.name:
        index = table(f"{model.__tablename__}_search", column("rowid"), column("search_text"))
        phrases = " ".join('"{}"'.format(word.replace('"', '""')) for word in long)
        conditions.append(model.id.in_(select(index.c.rowid).where(index.c.search_text.match(phrases))))
    return conditions


def _contains(text: SQLCoreOperations[str], words: Sequence[str]) -> list[ColumnElement[bool]]:
    return [text.contains(word, autoescape=True) for word in words]


def rows(
    model: type[Searchable], query: Query, words: Sequence[str], *, order: cursor.SortOrder, values: Mapping[str, Any]
) -> Sequence[Record]:
    """Return the rows of ``query`` that contain ``words``; two statements at most.

    Takes the parameters of the query, ``limit`` and ``offset`` among them.

    Each finds ids, by columns that are in an index or are needed to compare, and then what is shown of these alone.
    """
    found: Sequence[Record] = []
    limit, offset = values["limit"], values["offset"]
    for ids in _ways(model, query, words, order=order, most=offset + limit):
        few = query.where(model.id.in_(ids.limit(limit).offset(offset)))
        found = execute(few.order_by(*cursor.sorted_by(order)), values).all()
        if len(found) == limit:
            break
    return found


def _ways(
    model: type[Searchable], query: Query, words: Sequence[str], *, order: cursor.SortOrder, most: int
) -> Iterator[Select[int]]:
    """Return the ids, in order: first of what is near, in case that is enough, then of all, by the index."""
    keys = [each for each, _ in order]
    lean = query.with_only_columns(*keys, maintain_column_froms=True)
    if most <= NEAR:
        near = lean.add_columns(model.search_text).order_by(*cursor.sorted_by(order)).limit(NEAR).subquery()
        conditions = _contains(near.c.search_text, words)
        yield select(near.c.id).where(*conditions).order_by(*cursor.sorted_by(order, near.c))
    # Materialized, lest PostgreSQL walk the whole order again in the hope of a match.
    all_of_them = lean.where(*matches(model, words)).cte().prefix_with("MATERIALIZED", dialect="postgresql")
    yield select(all_of_them.c.id).order_by(*cursor.sorted_by(order, all_of_them.c))
