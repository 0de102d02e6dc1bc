"""What a report consists of, whatever its kind and its format: totals, a chart of months, and tables."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, cast, extract, func, literal, tuple_

from app.core.db.base import Query, Record
from app.extensions import db

STATEMENT, SALES, COMMUNITY, ACCOUNT = "statement", "sales", "community", "account"
CSV, JSON, PDF = "csv", "json", "pdf"

PAGE = 1_000  # rows that are read at once
BATCH_SIZE = 50_000  # ids that are added up at once

Values = tuple[Any, ...]
Progress = Callable[[int], None]


class Is(Enum):
    """What the values of a column are."""

    TEXT = "what somebody has written"
    WORD = "a word of ours"
    ID = "the number of a thing"
    NUMBER = "a whole number"
    MONEY = "minor units"
    BALANCE = "minor units that mean nothing when added up"
    MOMENT = "a moment"


@dataclass(frozen=True)
class Column:
    """A column: its name in CSV and JSON, its heading in a PDF, and what its values are."""

    name: str
    title: str
    kind: Is

    @property
    def is_numeric(self) -> bool:
        """Whether the values are numbers."""
        return self.kind in (Is.ID, Is.NUMBER, Is.MONEY, Is.BALANCE)


MONTH = Column("month", "Month", Is.WORD)


@dataclass(frozen=True)
class Period:
    """From ``since`` on (None: from the beginning), and before ``until``."""

    since: datetime | None
    until: datetime

    def holds(self, column: Any) -> ColumnElement[bool]:
        """Return the SQL condition that a moment is in the period."""
        before: ColumnElement[bool] = column < self.until
        return before if self.since is None else before & (column >= self.since)


@dataclass(frozen=True)
class Table:
    """A table whose ``rows`` can be gone through once. ``item`` is what one row is.

    A PDF of limited length shows the rows that are greatest in the column ``rank``, without one the last ones.
    """

    name: str
    item: str
    title: str
    columns: tuple[Column, ...]
    rows: Iterable[Values]
    rank: str | None = None

    def item_of(self, values: Values) -> dict[str, Any]:
        """Return a row by the names of the columns."""
        return dict(zip((column.name for column in self.columns), values, strict=True))


@dataclass(frozen=True)
class Report:
    """A report: whose it is, of which period, and what it says. ``totals`` are of columns, a ``chart`` shows some.

    ``work`` is how many rows are read for its tables.
    """

    kind: str
    title: str
    owner: str
    period: Period
    currency: str
    totals: tuple[tuple[Column, int], ...]
    months: Table
    chart: tuple[str, ...]
    tables: tuple[Table, ...]
    work: int


class Months:
    """Sums by the months in which something was."""

    def __init__(self, *columns: Column) -> None:
        self.columns = columns
        self._sums: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, year: int, month: int, **amounts: int) -> None:
        """Add amounts, by the names of their columns."""
        for name, amount in amounts.items():
            self._sums[int(year) * 12 + int(month) - 1][name] += int(amount)

    def total(self, name: str) -> int:
        """Return the sum of a column."""
        return sum(sums[name] for sums in self._sums.values())

    def table(self) -> Table:
        """Return the table of all months from the first to the last, those without anything among them."""
        known = self._sums.keys()
        numbers = range(min(known), max(known) + 1) if known else ()
        rows = [
            (f"{number // 12:04}-{number % 12 + 1:02}", *(self._sums[number][column.name] for column in self.columns))
            for number in numbers
        ]
        return Table("months", "month", "Months", (MONTH, *self.columns), rows)


def pages(query: Query, *keys: Any, progress: Progress, size: int = PAGE) -> Iterator[Sequence[Record]]:
    """Return the rows of ``query`` in the order of its columns ``keys``, ``size`` at a time, however many there are."""
    page_of = query.order_by(*keys).limit(size)
    page = db.session.execute(page_of).all()
    while page:
        yield page
        progress(len(page))
        last = (literal(getattr(page[-1], key.key), key.type) for key in keys)
        page = db.session.execute(page_of.where(tuple_(*keys) > tuple_(*last))).all()


def parts(highest_id: int | None) -> Iterator[tuple[int, int]]:
    """Return the first and last ids of the parts in which a table up to ``highest_id`` is added up."""
    for first in range(1, (highest_id or 0) + 1, BATCH_SIZE):
        yield first, first + BATCH_SIZE - 1


def year_and_month(column: Any) -> tuple[Any, Any]:
    """Return the SQL of the year and the month (UTC) of a moment."""
    return extract("year", column), extract("month", column)


def add_up(amount: Any, *when: ColumnElement[bool]) -> Any:
    """Return the SQL of a sum, as a 64-bit integer, over the rows that fulfil all conditions; 0 where none does."""
    for condition in when:
        amount = case((condition, amount), else_=0)
    return cast(func.coalesce(func.sum(amount), 0), BigInteger)


def rfc_3339(moment: datetime) -> str:
    """Write a moment in UTC as RFC 3339."""
    return moment.isoformat().replace("+00:00", "Z")
