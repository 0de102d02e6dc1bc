"""Migrations: up, down, and no drift from the models."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import Engine, inspect, make_url, text
from sqlalchemy.exc import IntegrityError

from app import create_app
from app.core.db import migrations
from app.core.db.base import NEVER_REUSE_IDS, Base
from app.extensions import db
from tests.conftest import dispose
from tests.postgres import database_on


@pytest.fixture
def empty_app(database_url: str, tmp_path: Any) -> Iterator[Flask]:
    """An app on a database of its own, with nothing in it."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        yield from (app_on(f"sqlite:///{tmp_path / 'empty.db'}"),)
        return
    with database_on(database_url) as empty:
        app = app_on(empty)
        yield app
        dispose(app)


def app_on(url: str) -> Flask:
    return create_app("testing", {"DATABASE_URL": url})


def described(engine: Engine) -> dict[str, Any]:
    """Everything that the database knows of its tables, by name."""
    found = inspect(engine)
    return {
        table: {
            "columns": {c["name"]: (str(c["type"]), c["nullable"]) for c in found.get_columns(table)},
            "checks": {c["name"]: c["sqltext"] for c in found.get_check_constraints(table)},
            "unique": {c["name"]: c["column_names"] for c in found.get_unique_constraints(table)},
            "indexes": {i["name"]: (i["column_names"], i["unique"]) for i in found.get_indexes(table)},
            "foreign": {
                f["name"]: (f["constrained_columns"], f["referred_table"], f["options"])
                for f in found.get_foreign_keys(table)
            },
        }
        for table in found.get_table_names()
        if table != "alembic_version"
    }


def test_the_migrations_make_what_the_models_say_and_go_back_to_nothing(empty_app: Flask) -> None:
    with empty_app.app_context():
        upgrade(directory=str(migrations.FOLDER))
        migrated = described(db.engine)
        downgrade(directory=str(migrations.FOLDER), revision="base")
        assert described(db.engine) == {}
        Base.metadata.create_all(db.engine)
        of_models = {name: table for name, table in migrated.items() if name in Base.metadata.tables}
        assert of_models == described(db.engine)


def test_tables_that_are_made_anew_keep_their_rows_and_what_refers_to_them(empty_app: Flask) -> None:
    folder, moment = str(migrations.FOLDER), "'2026-01-01 00:00:00'"
    user = f"INSERT INTO users (created_at, updated_at, id, name, email, search_text) VALUES ({moment}, {moment}, "
    product = (
        "INSERT INTO products (id, seller_id, name, price, stock, search_text, created_at, updated_at) "
        f"VALUES (8, 7, 'Honey', 1, 1, 'honey', {moment}, {moment})"
    )
    order = (
        "INSERT INTO orders (id, buyer_id, seller_id, status, total, created_at, updated_at) "
        f"VALUES (9, 6, 7, 'completed', 1, {moment}, {moment})"
    )
    line = "INSERT INTO order_lines (order_id, product_id, name, unit_price, quantity) VALUES (9, 8, 'Honey', 1, 1)"
    with empty_app.app_context():
        upgrade(directory=folder, revision="0003")
        with db.engine.begin() as connection:
            for statement in (user + "6, 'An', 'a@x', 'a')", user + "7, 'Bo', 'b@x', 'b')", product, order, line):
                connection.execute(text(statement))
        upgrade(directory=folder)
        with db.engine.begin() as connection:
            assert connection.execute(text("SELECT id, name, image_id FROM products")).all() == [(8, "Honey", None)]
            assert connection.execute(text("SELECT product_id FROM order_lines")).all() == [(8,)]
        with pytest.raises(IntegrityError), db.engine.begin() as connection:
            connection.execute(text("DELETE FROM products"))
        downgrade(directory=folder, revision="0003")
        with db.engine.begin() as connection:
            assert connection.execute(text("SELECT product_id FROM order_lines")).all() == [(8,)]


def test_every_revision_is_numbered_and_follows_the_one_before() -> None:
    revisions = list(reversed(migrations.known_revisions()))
    assert revisions == [f"{number:04d}" for number in range(1, len(revisions) + 1)]


def test_every_table_with_ids_never_gives_one_out_twice() -> None:
    for table in Base.metadata.tables.values():
        if "id" in table.columns:
            assert table.dialect_options["sqlite"]["autoincrement"] is NEVER_REUSE_IDS["sqlite_autoincrement"], table


def test_every_constraint_has_a_name() -> None:
    for table in Base.metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints), table


def test_a_table_that_is_missing_is_told_apart_from_a_database_that_is_busy(empty_app: Flask) -> None:
    with empty_app.app_context():
        upgrade(directory=str(migrations.FOLDER))
        missing = "posts_search" if db.engine.dialect.name == "sqlite" else "posts CASCADE"
        with db.engine.begin() as connection:
            connection.execute(text(f"DROP TABLE {missing}"))
    answer = empty_app.test_client().get("/api/v1/posts?q=honey")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "database_not_migrated")
    assert "flask db upgrade" in answer.get_json()["message"]
