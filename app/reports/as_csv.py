"""A report as CSV (RFC 4180, UTF-8): one table, in which ``section`` is what a row is about.

Money is written in decimals, as a spreadsheet reads it. What members have written never becomes a formula.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.reports.content import Column, Is, Report, rfc_3339

# What a spreadsheet takes for the beginning of a formula, also behind what cannot be seen, in full width, or where a
# program that separates by another character would begin a cell. https://owasp.org/www-community/attacks/CSV_Injection
UNSEEN = r"[\s\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]*"
FORMULA = re.compile(rf"^(?=[\t\r\n])|(?:^|(?<=[;\t\r\n]))(?={UNSEEN}[=+\-@\uff1d\uff0b\uff0d\uff20\u2212])")
AMOUNT = Column("amount", "Amount", Is.MONEY)


def write(report: Report, path: Path) -> None:
    """Write the report to ``path``, row by row."""
    tables = (report.months, *report.tables)
    columns = list(dict.fromkeys([AMOUNT.name, *(column.name for table in tables for column in table.columns)]))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["section", *columns, "currency"], restval="", lineterminator="\r\n")
        writer.writeheader()
        for row in _rows(report):
            writer.writerow({**row, "currency": report.currency})


def _rows(report: Report) -> Iterator[dict[str, str]]:
    for column, total in report.totals:
        if column.kind is Is.MONEY:
            yield {"section": column.name, AMOUNT.name: money(total)}
    for table in (report.months, *report.tables):
        for values in table.rows:
            cells = (_cell(column, value) for column, value in zip(table.columns, values, strict=True))
            yield {"section": table.item, **dict(zip((column.name for column in table.columns), cells, strict=True))}


def _cell(column: Column, value: Any) -> str:
    if value is None:
        return ""
    match column.kind:
        case Is.MONEY | Is.BALANCE:
            return money(value)
        case Is.MOMENT:
            return rfc_3339(value)
        case Is.TEXT:
            return defused(value)
    return str(value)


def money(amount: int) -> str:
    """Write an amount of minor units in decimals: -1250 is -12.50."""
    return f"{'-' if amount < 0 else ''}{abs(amount) // 100}.{abs(amount) % 100:02}"


def defused(text: str) -> str:
    """Return a text that no spreadsheet runs: an apostrophe stands where a formula would begin."""
    return FORMULA.sub("'", text)
