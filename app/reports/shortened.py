"""What a PDF of limited length shows of a report: some rows of each table, and the sums over all of them."""

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

from app.reports.content import Is, Report, Table, Values

MAX_ROWS = 2_000  # of each table; some forty pages


@dataclass(frozen=True)
class Kept:
    """What a PDF shows of a table: some of its rows, how many there are, and what the columns add up to over all."""

    table: Table
    rows: list[Values]
    number: int
    sums: tuple[int | None, ...]


def shorten(report: Report) -> tuple[Kept, ...]:
    """Go through all rows of the report's tables, and keep what a PDF shows: the months first, then the others."""
    return tuple(_kept(table) for table in (report.months, *report.tables))


def _kept(table: Table) -> Kept:
    adding = [number for number, column in enumerate(table.columns) if column.kind in (Is.NUMBER, Is.MONEY)]
    sums = dict.fromkeys(adding, 0)
    count = 0

    def counted() -> Iterator[Values]:
        nonlocal count
        for values in table.rows:
            count += 1
            for number in adding:
                sums[number] += values[number]
            yield values

    if table.rank is None:
        rows = list(deque(counted(), MAX_ROWS))
    else:
        rank = [column.name for column in table.columns].index(table.rank)
        rows = heapq.nlargest(MAX_ROWS, counted(), key=itemgetter(rank))
    return Kept(table, rows, count, tuple(sums.get(number) for number in range(len(table.columns))))
