"""``flask new-resource``: a working resource, made from the files and the table rows of todos.

There is no template beside them that could be forgotten: what is copied is what the tests hold.
"""

import builtins
import keyword
import re
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from app.config import ROOT
from app.core.db.base import Base
from app.core.permissions import ADMIN
from app.core.rest import openapi

# Where each row that names todos gets one beside it that names the new resource.
TABLES = (
    "app/api.py",
    "app/core/permissions.py",
    "app/registry.py",
    "app/reports/account.py",
    "tests/contract/matrix.py",
    "tests/contract/resources.py",
    "tests/reports/test_account.py",
)
PACKAGES = ("app", "tests")
MIGRATIONS = ROOT / "migrations" / "versions"
LONGEST = 20  # characters of a name, so that no copied line and no name of an index gets too long
NAME = re.compile(r"[a-z]+(_[a-z]+)*")
TODO = re.compile(r"""from app\.todos|/api/v1/todos|\s+(?s:.*)["'./_]todo(?s:.*),\n\Z""")  # a row, and no statement
ROW = re.compile(r" {4}Resource\(\n(?: {8}.*\n)+ {4}\),\n|.*\n")
TEMPLATE = re.compile(r"todos?|Todos?|TODOS?|task|TASK")
ARTICLE = re.compile(r"(?<![A-Za-z])([Aa])(?=[ _]todo)")
PROSE = re.compile(r'"""(?s:.*?)"""|# .*')
LEFT_TO_DECIDE = """
It works as todos do: `make lint test-fast` is green. Left to decide, by you:

  what it is        its fields and their limits, in models.py and schemas.py of app/{todos}, and SHOWN in service.py
  who may do what   app/core/permissions.py, now every member; who sees which, in service.py, now the owner alone
  its list          what it is sorted and filtered by ({TODOS} in resources.py), each with an index; what `q` searches
  its rules         service.py, and what else can happen to one; events, jobs and hooks
  its end           erase_{todos} in service.py: what is left when its owner is deleted
  its words         the docstrings in resources.py and schemas.py are the API's documentation; CHANGELOG.md

After a change of models.py: rm migrations/versions/*_{todos}.py && flask --app wsgi db migrate -m "{spoken}"
docs/adding-a-resource.md shows all this step by step, and tests/contract/ says what is missing.
"""


@dataclass(frozen=True)
class Words:
    """The words of the new resource, in place of those of todos."""

    plural: str
    singular: str

    @cached_property
    def names(self) -> dict[str, str]:
        """What each word of todos becomes as a name in code."""
        return {
            "todos": self.plural,
            "todo": self.singular,
            "Todos": _camel(self.plural),
            "Todo": _camel(self.singular),
            "TODOS": self.plural.upper(),
            "TODO": self.singular.upper(),
            "task": "title",
            "TASK": "TITLE",
        }

    @cached_property
    def spoken(self) -> dict[str, str]:
        """What each word of todos becomes in a sentence."""
        plural, singular = self.plural.replace("_", " "), self.singular.replace("_", " ")
        capitalised = {"Todos": plural.capitalize(), "Todo": singular.capitalize()}
        return {**self.names, "todos": plural, "todo": singular, **capitalised}

    def rename(self, text: str) -> str:
        """Return ``text``, which is about todos, as one about the new resource."""
        if self.singular[0] in "aeiou":
            text = ARTICLE.sub(r"\1n", text)
        text = PROSE.sub(lambda found: _replace(found[0], self.spoken), text)
        return _replace(text, self.names)


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _replace(text: str, words: Mapping[str, str]) -> str:
    return TEMPLATE.sub(lambda found: words[found[0]], text)


@click.command("new-resource")
@click.argument("name")
@click.option("--singular", help="The singular of NAME, where it is an irregular one.")
@with_appcontext
def new_resource(name: str, singular: str | None) -> None:
    """Make a working resource NAME (a plural, like workshops), from that of todos."""
    words = Words(name, _singular_of(name) if singular is None else singular)
    for reason in _reasons_against(words):
        raise click.ClickException(reason)
    migrated = set(MIGRATIONS.glob("*.py"))
    copies, tables = _copies(words), _tables(words)
    former = {path: path.read_text() for path in tables}
    try:
        _write({**copies, **tables})
        _tidy_up({*copies, *tables})
        _run("flask", "--app", "wsgi", "db", "migrate", "--message", words.spoken["todos"])
    except BaseException:
        for package in PACKAGES:
            shutil.rmtree(ROOT / package / name, ignore_errors=True)
        _write(former)
        raise
    _report(words, {*copies, *set(MIGRATIONS.glob("*.py")) - migrated}, tables)


def _singular_of(plural: str) -> str:
    """Return the singular of a regular English plural."""
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("s", "")):
        if plural.endswith(ending):
            return plural.removesuffix(ending) + instead
    return plural


def _reasons_against(words: Words) -> Iterator[str]:
    """Return why the resource cannot be made: first what is odd about its name, then what has that name already."""
    for word in (words.plural, words.singular):
        if not NAME.fullmatch(word) or len(word) > LONGEST:
            yield f"{word!r} is no name: it has at most {LONGEST} letters from a to z, and an _ between words."
    if words.plural == words.singular:
        yield f"{words.plural!r} is no regular plural: name its --singular."
    for taken in _taken(words):
        yield f"There is {taken} already: take another name."
    for word in sorted({words.names[word] for word in ("todos", "todo", "Todo")} & _reserved()):
        yield f"{word!r} means something else in the code that is copied: take another name."


def _reserved() -> set[str]:
    """Return what the names in the copied code mean already."""
    used = {"title", *keyword.kwlist, *dir(builtins)}
    for source in _templates():
        with source.open("rb") as file:
            used |= {token.string for token in tokenize.tokenize(file.readline) if token.type == tokenize.NAME}
    return used


def _taken(words: Words) -> Iterator[str]:
    """Return what in the service has a name that the new resource would have."""
    for package in PACKAGES:
        if find_spec(f"{package}.{words.plural}"):
            yield f"a package {package}.{words.plural}"
    if words.plural in Base.metadata.tables:
        yield f"a table {words.plural}"
    schemas = openapi.document(current_app)["components"]["schemas"]
    for name in sorted(schemas.keys() & {words.names["Todo"] + ending for ending in ("", "Input", "Item", "Page")}):
        yield f"a schema {name}"
    for permission in sorted(permission for permission in ADMIN if permission.startswith(f"{words.singular}:")):
        yield f"a permission {permission}"


def _templates() -> list[Path]:
    return [source for package in PACKAGES for source in sorted((ROOT / package / "todos").glob("*.py"))]


def _copies(words: Words) -> dict[Path, str]:
    """Return the files of the new resource."""
    return {
        source.parent.with_name(words.plural) / words.rename(source.name): words.rename(source.read_text())
        for source in _templates()
    }


def _tables(words: Words) -> dict[Path, str]:
    """Return the files that name every resource, with the new one in them."""
    tables = {ROOT / name: _with_rows(words, (ROOT / name).read_text()) for name in TABLES}
    layers = ROOT / "pyproject.toml"
    return {**tables, layers: layers.read_text().replace("| todos |", f"| todos | {words.plural} |")}


def _with_rows(words: Words, text: str) -> str:
    """Return a file in which each run of rows that name todos is followed by one that names the new resource."""
    rows: list[str] = []
    for about_todos, run in groupby(ROW.findall(text), key=lambda row: bool(TODO.match(row))):
        found = list(run)
        rows += [*found, *map(words.rename, found)] if about_todos else found
    return "".join(rows)


def _write(contents: Mapping[Path, str]) -> None:
    for path, text in contents.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def _tidy_up(paths: Iterable[Path]) -> None:
    """Sort the imports, and break the lines that have become too long."""
    sources = [str(path) for path in paths if path.suffix == ".py"]
    _run("ruff", "check", "--quiet", "--fix", "--select", "I", *sources)
    _run("ruff", "format", "--quiet", *sources)


def _run(*command: str) -> None:
    """Run a program of the environment. Raises ClickException with what it says where it fails."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise click.ClickException(f"{command[0]} has failed, so nothing was changed:\n{done.stdout}{done.stderr}")


def _report(words: Words, created: set[Path], changed: Iterable[Path]) -> None:
    for verb, paths in (("Created", created), ("Changed", changed)):
        for path in sorted(paths):
            click.echo(f"{verb} {path.relative_to(ROOT)}")
    click.echo(LEFT_TO_DECIDE.format(**words.names, spoken=words.spoken["todos"]))
