"""Searching: which rows contain some words, and how the first of them are found.

On PostgreSQL an index of trigrams (pg_trgm) serves LIKE itself; on SQLite a table beside the searched one, which
triggers keep, narrows the rows that LIKE is asked about. A word that many rows contain is found sooner without an
index, among the rows that come first; how many contain it no planner knows, so it is tried there for a bounded number
of rows.

Short words are in no index, and many long texts may have the trigrams of a word and not the word: such a search reads
all texts. So the words are few, and the time that a search takes is limited; whoever asks for more is told so.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from flask import current_app
from marshmallow import ValidationError
from sqlalchemy import ColumnElement, Select, column, select, table
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.elements import SQLCoreOperations

from app.core.db.base import Query, Record, Searchable, fold
from app.core.db.engines import connection_of
from app.core.db.time_limit import time_limit
from app.core.errors import BadRequest
from app.core.lists import cursor
from app.core.parameters import short_text
from app.core.schema import SPACES
from app.core.unit_of_work import execute
from app.extensions import db

TRIGRAM = 3  # characters; an index of trigrams knows nothing of a shorter word
NEAR = 2_000  # rows that are looked through, in the order of the list, before the index is asked
MAX_WORDS = 8
MAX_SECONDS = 2.0
TOO_BROAD = (
    "Takes too long here: too many texts would have to be read. "
    "Use longer or rarer words, add a filter, or leave out the total by `count=none`."
)


def _check_words(text: str) -> None:
    if len(text.split()) > MAX_WORDS:
        raise ValidationError(f"Must be at most {MAX_WORDS} words.")


_WORD, _GAP = rf"[^\u0000{SPACES}]+", rf"[{SPACES}]"
FIELD = short_text(rf"^{_GAP}*{_WORD}({_GAP}+{_WORD}){{0,{MAX_WORDS - 1}}}{_GAP}*$", validate=[_check_words])
MEANING = (
    f"Contains each of these words, {MAX_WORDS} at most, whatever their case. "
    "A search that would take too long is refused (`search_too_broad`)."
)


def words_of(text: str) -> list[str]:
    """Return the folded words of ``text`` to look for, the longest first: it is the one that fewest rows contain.

    A word that is a part of another one is left out: what contains that one contains it.
    """
    words = sorted(set(fold(text).split()), key=len, reverse=True)
    return [word for number, word in enumerate(words) if not any(word in longer for longer in words[:number])]


@contextmanager
def limited() -> Iterator[None]:
    """Limit the time of the statements inside the block. Raises BadRequest when they take longer."""
    try:
        with time_limit(connection_of(db), min(MAX_SECONDS, current_app.config["STATEMENT_TIMEOUT"])):
            yield
    except TimeoutError:
        raise BadRequest("The search is too broad.", code="search_too_broad", errors={"q": [TOO_BROAD]}) from None


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
    for ids in _statements(model, query, words, order=order, most=offset + limit):
        few = query.where(model.id.in_(ids.limit(limit).offset(offset)))
        found = execute(few.order_by(*cursor.sorted_by(order)), values).all()
        if len(found) == limit:
            break
    return found


def _statements(
    model: type[Searchable], query: Query, words: Sequence[str], *, order: cursor.SortOrder, most: int
) -> Iterator[Select[int]]:
    """Return the ids, in order: first of what is near, in case that is enough, then of all, by the index."""
    keys = [each for each, _ in order]
    lean = query.with_only_columns(*keys, maintain_column_froms=True)
    if most <= NEAR:
        near = lean.add_columns(model.search_text).order_by(*cursor.sorted_by(order)).limit(NEAR).subquery()
        conditions = _contains(near.c.search_text, words)
        yield select(near.c.id).where(*conditions).order_by(*cursor.sorted_by(order, near.c))
    # Materialized, lest PostgreSQL read the whole order again in the hope of a match.
    all_of_them = lean.where(*matches(model, words)).cte().prefix_with("MATERIALIZED", dialect="postgresql")
    yield select(all_of_them.c.id).order_by(*cursor.sorted_by(order, all_of_them.c))
