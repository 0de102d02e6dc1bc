"""What a page prints, done to a copy of the repository: each block begins with the file that it is about.

``# app/x.py`` has definitions, which replace those of the same name or come below the one before them. ``# app/x.py,
anew`` is the whole file. ``# app/x.py, below TEXT`` has lines that come below the first that has TEXT. ``# app/x.py, in
place of TEXT`` has rows that replace those that have TEXT. Imports go to the top of the file.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from app.scaffold import ROW

BLOCK = re.compile(r"^```\w*\n# ((?:app|tests)/\S+\.py)(?:, (anew|below|in place of) ?(.*))?\n((?s:.*?))^```$", re.M)
IMPORT = re.compile(r"^(?:from|import) .*\n", re.M)


def apply(page: str, root: Path) -> None:
    """Do what the blocks of a page say to the files below ``root``."""
    for name, way, place, text in BLOCK.findall(page):
        path = root / name
        if way == "anew" or not path.exists():
            path.write_text(text)
            continue
        imports, rest = "".join(IMPORT.findall(text)), IMPORT.sub("", text).strip("\n") + "\n"
        source = path.read_text()
        if way == "below":
            source = _below(source, place, rest)
        elif way == "in place of":
            source = _in_place_of(source, place, rest)
        else:
            source = _merged(source, rest)
        path.write_text(_with_imports(source, imports))


def _below(source: str, place: str, text: str) -> str:
    before, found, after = source.partition(place)
    assert found, place
    line, _, rest = after.partition("\n")
    return f"{before}{found}{line}\n{text}{rest}"


def _in_place_of(source: str, place: str, text: str) -> str:
    rows = ROW.findall(source)
    (first, *others) = (number for number, row in enumerate(rows) if place in row)
    rows[first] = text
    return "".join(row for number, row in enumerate(rows) if number not in others)


def _merged(source: str, text: str) -> str:
    """Return ``source`` with the definitions of ``text``."""
    last = ""
    for node in ast.parse(text).body:
        name, code = _name_of(node), "\n".join(text.splitlines()[_first_line(node) - 1 : node.end_lineno])
        lines, there = source.splitlines(), dict(_definitions(source))
        if name in there:
            start, end = there[name]
            lines[start:end] = [code]
        else:
            below = there[last][1] if last in there else len(lines)
            lines[below:below] = [code] if isinstance(node, ast.Assign) else ["", "", code]
        source, last = "\n".join(lines) + "\n", name
    return source


def _definitions(source: str) -> Iterator[tuple[str, tuple[int, int]]]:
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.Assign):
            yield _name_of(node), (_first_line(node) - 1, node.end_lineno or 0)


def _name_of(node: ast.stmt) -> str:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return node.name
    assert isinstance(node, ast.Assign), ast.unparse(node)
    return ast.unparse(node.targets[0])


def _first_line(node: ast.stmt) -> int:
    return min((one.lineno for one in getattr(node, "decorator_list", ())), default=node.lineno)


def _with_imports(source: str, imports: str) -> str:
    """Return ``source`` with further imports below its docstring."""
    end = ast.parse(source).body[0].end_lineno or 0
    lines = source.splitlines(keepends=True)
    return "".join([*lines[:end], "\n", imports, *lines[end:]]) if imports else source
