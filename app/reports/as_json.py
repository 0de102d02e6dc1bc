"""A report as JSON, in the shapes of the API: minor units, moments as RFC 3339."""

from pathlib import Path
from typing import Any, BinaryIO

import orjson

from app.reports.content import Report, Table


def write(report: Report, path: Path) -> None:
    """Write the report to ``path``, row by row."""
    head = {
        "kind": report.kind,
        "owner": report.owner,
        "since": report.period.since,
        "until": report.period.until,
        "currency": report.currency,
        "totals": {column.name: total for column, total in report.totals},
    }
    with path.open("wb") as file:
        file.write(_json(head)[:-1])
        for table in (report.months, *report.tables):
            _write_table(table, file)
        file.write(b"}\n")


def _write_table(table: Table, file: BinaryIO) -> None:
    names = [column.name for column in table.columns]
    file.write(b"," + _json(table.name) + b":[")
    for number, values in enumerate(table.rows):
        file.write(b",\n" if number else b"\n")
        file.write(_json(dict(zip(names, values, strict=True))))
    file.write(b"]")


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)
