"""The house itself: a file or function that grows past its limit is two, and one place commits."""

import ast
from collections.abc import Iterator
from pathlib import Path

from app.config import ROOT

FILE_LINES = 250
FUNCTION_LINES = 40


def sources() -> list[Path]:
    return sorted((ROOT / "app").rglob("*.py"))


def functions(source: Path) -> Iterator[tuple[str, int]]:
    """Return the functions of a file, with the number of their lines."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_file_is_too_long_to_be_read_at_once() -> None:
    lines = {str(source.relative_to(ROOT)): len(source.read_text().splitlines()) for source in sources()}
    assert {name: number for name, number in lines.items() if number > FILE_LINES} == {}


def test_no_function_is_too_long_to_be_read_at_once() -> None:
    long = [
        f"{source.relative_to(ROOT)}: {name} has {lines} lines"
        for source in sources()
        for name, lines in functions(source)
        if lines > FUNCTION_LINES
    ]
    assert long == []


def test_nobody_commits_but_the_unit_of_work() -> None:
    commits = [
        f"{source.relative_to(ROOT)}:{node.lineno}: leave {node.func.attr}() to the unit of work"
        for source in sources()
        if source != ROOT / "app/core/unit_of_work.py"
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in ("commit", "rollback")
    ]
    assert commits == []
