"""A CSV file of products (RFC 4180, UTF-8), read as a stream: each row with its line, checked as the API checks it."""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.core.errors import ValidationFailed
from app.core.schema import Integer, load
from app.jobs.kinds import JobFailed
from app.products.models import MAX_STOCK
from app.products.schemas import ProductSchema

NEEDED = ("name", "price")
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}")
ROW = "_schema"  # in place of a field, for what is wrong with the whole row; as the API names it


class ProductRowSchema(ProductSchema):
    """A product as a row: as a client sends it, but that the stock may be left out."""

    stock = Integer(0, MAX_STOCK, load_default=0)


@dataclass(frozen=True)
class Row:
    """A row: the line that it begins in, what it says, or what is wrong with it by field."""

    line: int
    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)


def _number(cell: str) -> int:
    if not WHOLE_NUMBER.fullmatch(cell):
        raise ValueError("Must be a whole number.")
    return int(cell)


def _boolean(cell: str) -> bool:
    if cell not in ("true", "false"):
        raise ValueError("Must be true or false.")
    return cell == "true"


def _text(cell: str) -> str:
    if "\0" in cell or (not cell.isascii() and any("\udc80" <= letter <= "\udcff" for letter in cell)):
        raise ValueError("Must be text in UTF-8, without NUL.")
    return cell


COLUMNS: dict[str, Callable[[str], Any]] = {
    "name": _text,
    "price": _number,
    "description": _text,
    "stock": _number,
    "is_active": _boolean,
}


def read_rows(path: Path, *, most_explained: int) -> Iterator[Row]:
    """Return the rows of the file at ``path``, one by one; blank lines are none. Raises JobFailed for a bad header.

    After ``most_explained`` bad rows, one that is seen to be bad at a glance is not looked at any further.
    """
    bad = 0
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        reader = csv.reader(text, strict=True)
        header = _header(reader)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                row = Row(line, errors={ROW: ["Is not well-formed CSV."]})
            else:
                if not cells:
                    continue
                row = _row(line, header, cells, briefly=bad >= most_explained)
            bad += bool(row.errors)
            yield row


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        cells = next((cells for cells in reader if cells), [])
    except csv.Error:
        cells = []
    unknown = [name for name in cells if name not in COLUMNS]
    missing = [name for name in NEEDED if name not in cells]
    if unknown or missing or len(set(cells)) < len(cells):
        wanted = f"The header must name {' and '.join(NEEDED)}, and may name {', '.join(COLUMNS)}, each once."
        raise JobFailed("bad_header", wanted)
    return cells


def _row(line: int, header: list[str], cells: list[str], *, briefly: bool) -> Row:
    if len(cells) != len(header):
        return Row(line, errors={ROW: [f"Has {len(cells)} cells, and the header has {len(header)}."]})
    values: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name, cell in zip(header, cells, strict=True):
        try:
            if cell:
                values[name] = COLUMNS[name](cell)
        except ValueError as error:
            errors[name] = [str(error)]
    missing = {name: ["Is missing."] for name in NEEDED if name not in values}
    if briefly and (errors or missing):  # The schema takes ten times as long as all else.
        return Row(line, errors=errors or missing)
    try:
        values = load(ProductRowSchema, values)
    except ValidationFailed as failure:
        errors = {**(failure.errors or {}), **errors}
    return Row(line, values, errors)
