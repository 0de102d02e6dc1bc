"""The pages that people read are true: what they link to, name and tell to run is there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from flask import Flask
from flask.cli import FlaskGroup, ScriptInfo

from app.config import ROOT
from app.config.settings import SETTINGS
from bench import report
from deploy.drill.faults import FAULTS
from deploy.drill.siege import ATTACKS

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "bench/README.md", "deploy/README.md")]
PAGES += sorted(ROOT.glob("docs/**/*.md"))
CODE = re.compile(r"```\w*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
# A path has a folder of ours in front, or the ending of a file.
FOLDERS = "app|bench|core|deploy|docs|examples|migrations|rest|tests|<feature>"
NAMED_FILE = re.compile(rf"\w[\w./-]*\.(?:py|md|toml|yaml|yml|json|svg|conf|template)|(?:{FOLDERS})/[\w./-]*")
PLACES = ("app", "bench", "deploy", "tests")
# What is made where it is used, or stands for what the reader makes.
NOT_HERE = re.compile(r"(instance/|openapi\.|latest\.|my-secret\.|migration\.|network\.|tls\.)|.*\bworkshops\b")
# Variables of other programs, and of Compose.
FOREIGN = re.compile(r"(AWS|OTEL|AGORA|POSTGRES|PROMETHEUS)_")
VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
CONSTANT = re.compile(r"^([A-Z][A-Z0-9_]+)\b.* = ", re.MULTILINE)


def names(page: Path) -> str:
    return str(page.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", PAGES, ids=names)


def code_of(page: Path) -> Iterator[str]:
    """Return what a page prints as code, block by block and word by word."""
    for block, span in CODE.findall(page.read_text()):
        yield block or span


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        address, _, anchor = link.partition("#")
        if re.match(r"https?:", address):
            continue
        target = (page.parent / address).resolve() if address else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        links = {(page.parent / link.partition("#")[0]).resolve() for link in LINK.findall(page.read_text())}
        waiting += [link for link in links if link.suffix == ".md" and link.is_file() and link not in reached]
    # The records of decisions are read in the order of their numbers.
    assert [names(page) for page in PAGES if page not in reached and page.parent.name != "decisions"] == []


@each_page
def test_every_file_that_is_named_is_there(page: Path) -> None:
    places = [page.parent, ROOT, ROOT / "app", ROOT / "app" / "core"]
    for code in code_of(page):
        for word in code.split():
            path = word.strip(",.:;()\"'|")
            if not NAMED_FILE.fullmatch(path) or NOT_HERE.match(path):
                continue
            assert any((place / path).exists() for place in places) or anywhere(path), path


def anywhere(path: str) -> bool:
    """Return whether some feature, or some folder of ours, has a file of that name."""
    name = path.removeprefix("<feature>/")
    return any(found.match(name) for place in PLACES for found in (ROOT / place).rglob("*"))


@each_page
def test_every_target_of_make_that_is_named_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {name for code in code_of(page) for name in re.findall(r"\bmake ([a-z][a-z-]*)", code)} <= targets


@each_page
def test_every_command_of_flask_that_is_named_is_there(app: Flask, page: Path) -> None:
    for code in code_of(page):
        for words in re.findall(r"(?<!from )\bflask(?: --app wsgi)?((?: [a-z][a-z-]+)+)", code):
            resolve(app, words.split())


def resolve(app: Flask, words: list[str]) -> None:
    """Go down the groups of the ``flask`` program along ``words``."""
    program = FlaskGroup(create_app=lambda: app)
    command: click.Command | None = program
    with click.Context(program, obj=ScriptInfo(create_app=lambda: app)) as context:
        while isinstance(command, click.Group) and words:
            command = command.get_command(context, words.pop(0))
            assert command is not None, f"There is no such command of flask before {words}."


@each_page
def test_every_setting_that_is_named_is_there(page: Path) -> None:
    sources = [*ROOT.glob("app/**/*.py"), *ROOT.glob("tests/**/*.py"), ROOT / "gunicorn.conf.py"]
    known = {setting.name for setting in SETTINGS} | {
        name for source in [*sources, page] for name in CONSTANT.findall(source.read_text())
    }
    named = {word for code in code_of(page) for word in VARIABLE.findall(code) if not FOREIGN.match(word)}
    assert named <= known


@each_page
def test_what_is_printed_in_python_runs(app: Flask, page: Path) -> None:
    # A block that begins with the name of a file is tried where it belongs, in test_new_resource.py.
    printed = "\n".join(re.findall(r"```python\n(?!# app/|# tests/)(.*?)```", page.read_text(), re.DOTALL))
    with app.app_context():
        exec(compile(printed, str(page), "exec"), {"__name__": "printed"})  # noqa: S102


def test_the_figures_of_the_benchmark_are_the_published_ones() -> None:
    published = report.markdown(json.loads((report.RESULTS / "latest.json").read_text()))
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    assert f"{report.BEGIN}\n{published}{report.END}" in page


def test_the_faults_of_the_drill_are_those_that_it_knows() -> None:
    page = (ROOT / "docs" / "faults.md").read_text()
    rows = [line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if line.endswith("| well |")]
    assert rows
    assert set(rows) <= {known.title for known in (*FAULTS, *ATTACKS)}
