"""``flask new-resource`` and the page that goes on from it: what they make passes the checks and the tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from app.config import ROOT
from tests import printed

BIN = Path(sys.executable).parent
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "instance", "__pycache__", ".pytest_cache", ".hypothesis", "results")
CHECKS = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",), ("lint-imports",))
# What the tables of all resources say of the new one.
COMPLETE = [
    *(f"tests/contract/test_{name}.py" for name in ("resources", "erasure", "matrix", "privacy", "raised")),
    *("tests/core/test_migrations.py", "tests/notifications/test_kinds.py", "tests/reports/test_account.py"),
    "tests/test_house.py",
]


class Copy:
    """A copy of the repository, which shares the environment, with a database of its own."""

    def __init__(self, root: Path, database_url: str) -> None:
        self.root = root
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
            "DATABASE_URL": database_url,
        }

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of the environment to its end."""
        return subprocess.run(
            [BIN / command[0], *command[1:]], cwd=self.root, env=self.environment, capture_output=True, text=True
        )

    def must(self, *command: str) -> str:
        """Run a program that must succeed, and return what it says."""
        done = self.run(*command)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def new_resource(self, name: str) -> str:
        return self.must("flask", "--app", "wsgi", "new-resource", name)

    def check(self, word: str) -> None:
        """Run every check, the tests of a resource, those of the contract that are about it, and of all tables."""
        for command in CHECKS:
            self.must(*command)
        options = ("-p", "no:cacheprovider", "--database=sqlite")
        self.must("pytest", *options, *COMPLETE, f"tests/{word}s")
        self.must("pytest", *options, "tests/contract", "-k", f"{word} and not test_schemathesis")

    def files(self) -> dict[Path, bytes]:
        """Return all files of the repository."""
        found = (path for path in self.root.rglob("*.*") if path.is_file() and "__pycache__" not in path.parts)
        return {path: path.read_bytes() for path in found if path.suffix in (".py", ".toml", ".md")}


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A copy with a development database of its own: on SQLite, as `make run` begins, whatever the suite runs on."""
    root = Path(shutil.copytree(ROOT, tmp_path / "copy", ignore=LEFT_OUT))
    (root / "instance").mkdir()
    return Copy(root, f"sqlite:///{tmp_path / 'development.db'}")


def test_a_new_resource_passes_every_check_and_its_tests(copy: Copy) -> None:
    said = copy.new_resource("exchange_offers")
    assert "Created app/exchange_offers/service.py" in said
    assert "Changed tests/contract/resources.py" in said
    assert "Left to decide" in said
    assert '"""Create an exchange offer."""' in (copy.root / "app/exchange_offers/resources.py").read_text()
    copy.check("exchange_offer")
    before = copy.files()
    again = copy.run("flask", "--app", "wsgi", "new-resource", "exchange_offers")
    assert (again.returncode, "app.exchange_offers already" in again.stderr) == (1, True)
    assert copy.files() == before


def test_what_the_page_prints_passes_every_check_and_its_tests(copy: Copy) -> None:
    copy.new_resource("workshops")
    printed.apply((ROOT / "docs/adding-a-resource.md").read_text(), copy.root)
    for migration in (copy.root / "migrations/versions").glob("*_workshops.py"):
        migration.unlink()
    copy.must("flask", "--app", "wsgi", "db", "migrate", "-m", "workshops")
    copy.must("ruff", "check", "--fix", ".")
    copy.must("ruff", "format", ".")
    copy.check("workshop")


def test_a_resource_whose_migration_cannot_be_written_leaves_nothing_behind(copy: Copy) -> None:
    before = copy.files()
    copy.environment["DATABASE_URL"] = "postgresql://127.0.0.1:1/nowhere"
    failed = copy.run("flask", "--app", "wsgi", "new-resource", "workshops")
    assert (failed.returncode, "cannot be reached" in failed.stderr) == (1, True)
    assert copy.files() == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Workshops", "is no name"),
        ("work-shops", "is no name"),
        ("workshops_", "is no name"),
        ("w" * 20 + "s", "is no name"),
        ("../workshops", "is no name"),
        ("sheep", "name its --singular"),
        ("todos", "a package app.todos already"),
        ("events", "a table events already"),
        ("prices", "a schema Price already"),
        ("credits", "a permission credit:issue already"),
        ("classes", "means something else"),
        ("lists", "means something else"),
        ("callers", "means something else"),
        ("titles", "means something else"),
    ],
)
def test_a_name_that_is_odd_or_taken_is_refused(runner: FlaskCliRunner, name: str, reason: str) -> None:
    refused = runner.invoke(args=["new-resource", name])
    assert (refused.exit_code, reason in refused.output) == (1, True), refused.output


def test_an_irregular_plural_is_told_its_singular(runner: FlaskCliRunner) -> None:
    # It gets past the question of its singular: what is refused is what it is taken for.
    refused = runner.invoke(args=["new-resource", "people", "--singular", "user"])
    assert "a schema User already" in refused.output


def test_production_makes_no_resources(production: Flask) -> None:
    assert "new-resource" not in production.cli.commands
