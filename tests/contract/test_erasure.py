"""Of a member who has been deleted no table keeps a row, but for what is named here with its reason."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import Column, func, select

from app.core.db.base import Base
from app.extensions import db
from tests.client import CheckedClient
from tests.conftest import AsUser
from tests.contract.resources import fill, prepare
from tests.contract.routes import ROUTES

(DELETION,) = (route for route in ROUTES if str(route) == "DELETE /api/v1/users/<id:user_id>")
BOOKS = "The books stay; whose they are is shown as a deleted member."
# What still refers to a deleted member, and why.
KEPT = {
    "accounts.user_id": BOOKS,
    "transfers.sender_id": BOOKS,
    "transfers.receiver_id": BOOKS,
    "orders.buyer_id": BOOKS,
    "orders.seller_id": BOOKS,
    "products.seller_id": "Orders name the products that were ordered; they are withdrawn from sight.",
    "notifications.person_id": "They are another member's, whose message names a deleted member.",
}


def references() -> Iterator[Column[int]]:
    """Yield the columns that refer to a member."""
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            if key.column.table.name == "users":
                yield key.parent


REFERENCES = {f"{column.table.name}.{column.name}": column for column in references()}


@pytest.fixture
def members(owner: CheckedClient, as_user: AsUser) -> dict[int, CheckedClient]:
    """Two members, who together have a row in every table that can refer to one, and a third, all of them admins."""
    third = as_user("admin")
    assert owner.post("/api/v1/todos", json={"task": "x"}, headers={"Idempotency-Key": "a-key"}).status_code == 201
    told = {"user_id": third.user_id, "kind": "order_placed", "data": {}}
    fill(owner, {"notifications": [{**told, "person_id": owner.user_id}]})
    fill(owner, {"imports": [{"user_id": owner.user_id, "sha256": "0" * 64, "job_id": 1}]})
    assert owner.post("/auth/email/verification").status_code == 202
    return {1: owner, 3: third}


def rows_of(app: Flask, user_ids: tuple[int, ...]) -> dict[str, int]:
    """Return how many rows refer to one of the members, by column."""
    with app.app_context():
        return {
            name: db.session.scalar(select(func.count()).where(column.in_(user_ids))) or 0
            for name, column in REFERENCES.items()
        }


def test_no_table_keeps_a_row_of_a_deleted_member_but_those_named_with_a_reason(
    app: Flask, members: dict[int, CheckedClient]
) -> None:
    missing = [name for name, count in rows_of(app, (1, 2)).items() if not count]
    assert missing == [], "let the fixture `members` make a row that refers to member 1 or 2 in each of these columns"
    prepare(DELETION, members[1])
    left = members[3].get("/api/v1/users/2/wallet").get_json()["balance"]
    members[3].post("/api/v1/withdrawals", json={"user_id": 2, "amount": left})
    assert [members[3].delete(f"/api/v1/users/{number}").status_code for number in (1, 2)] == [204, 204]
    kept = {name for name, count in rows_of(app, (1, 2)).items() if count}
    assert kept - KEPT.keys() == set(), "erase it by a function that user_deleting calls, in HOOKS of app/registry.py"
    assert KEPT.keys() - kept == set(), "nothing is kept there: take it out of KEPT"
