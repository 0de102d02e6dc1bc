"""A report as JSON, in the shapes of the API: minor units, moments as RFC 3339."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from app.reports.content import Report

Items = Iterable[Mapping[str, Any]]


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
    tables = (report.months, *report.tables)
    write_object(head, {table.name: map(table.item_of, table.rows) for table in tables}, path)


def write_object(head: Mapping[str, Any], lists: Mapping[str, Items], path: Path) -> None:
    """Write a JSON object to ``path``: the fields of ``head``, then ``lists`` by their names, item by item."""
    with path.open("wb") as file:
        file.write(_json(head)[:-1])
        for name, items in lists.items():
            _write_list(name, items, file)
        file.write(b"}\n")


def _write_list(name: str, items: Items, file: BinaryIO) -> None:
    file.write(b"," + _json(name) + b":[")
    for number, item in enumerate(items):
        file.write(b",\n" if number else b"\n")
        file.write(_json(item))
    file.write(b"]")


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)
