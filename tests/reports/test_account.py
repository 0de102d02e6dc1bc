"""The report of one's own data: all that the service holds about a member, and nothing of anybody else."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select

from app.core.db.base import Base
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.imports.models import Import
from app.reports import account
from tests.client import CheckedClient
from tests.conftest import AsUser, Counter, new_client
from tests.contract.resources import stocked
from tests.reports.conftest import URL, Json, Work, as_json

# Where the report has the rows of a table in which a column names the member.
HELD = {
    "users.id": "user",
    "accounts.user_id": "wallet",
    "posts.user_id": "posts",
    "todos.user_id": "todos",
    "products.seller_id": "products",
    "orders.buyer_id": "orders",
    "orders.seller_id": "orders",
    "transfers.sender_id": "transfers",
    "transfers.receiver_id": "transfers",
    "files.user_id": "files",
    "imports.user_id": "imports",
    "jobs.user_id": "jobs",
    "notifications.user_id": "notifications",
    "sessions.user_id": "sessions",
    "audit.actor_id": "audit",
    "audit.owner_id": "audit",
    "audit.second_owner_id": "audit",
}
LEFT_OUT = {
    "account_tokens.user_id": "What proves a link of a mail, without the token; it goes when it is spent or expires.",
    "notifications.person_id": "What another member was told of: the transfer or order itself is in the report.",
    "idempotency_keys.user_id": "Copies of answers, kept for 24 hours; what they show is in the report.",
    "jobs.caused_by_id": "The service's own jobs, like the mail that tells somebody else; kept for 7 days.",
}
# Columns that name a member without a foreign key.
UNTIED = {"users.id", "audit.actor_id", "audit.owner_id", "audit.second_owner_id", "jobs.caused_by_id"}


def ids_named(app: Flask, column: str, user_id: int) -> set[int]:
    """Return the ids of the rows whose ``column`` names a member."""
    table = Base.metadata.tables[column.partition(".")[0]]
    with app.app_context():
        named = table.c[column.partition(".")[2]] == user_id
        return set(db.session.scalars(select(table.c.id).where(named)))


def ids_in(report: Json, section: str) -> set[int]:
    items = report[section] if isinstance(report[section], list) else [report[section]]
    return {item["id"] for item in items}


@pytest.fixture
def owner(app: Flask, as_user: AsUser) -> CheckedClient:
    """An admin of whom there is something in every table, beside another of whom there is, too."""
    owner = stocked(as_user)
    other = new_client(app)
    other.post("/auth/login", json={"email": owner.email, "password": "Wrong-password-1"})
    rows = [{"user_id": number, "sha256": str(number) * 64, "job_id": 1} for number in (1, 2)]
    with app.app_context():
        unit_of_work(lambda: db.session.execute(insert(Import), rows))
    sale = {"lines": [{"product_id": owner.post("/api/v1/products", json=PRODUCT).get_json()["id"], "quantity": 1}]}
    buyer = as_user("admin")
    assert buyer.post("/api/v1/orders", json=sale).status_code == 201
    made = buyer.post("/api/v1/posts", json={"title": "t", "content": "Not the owner's"})
    assert made.status_code == 201
    sent = owner.post("/api/v1/transfers", json={"receiver_id": buyer.user_id, "amount": 1, "memo": "x"}).get_json()
    assert buyer.post(f"/api/v1/transfers/{sent['id']}/reversal").status_code == 201
    return owner


PRODUCT = {"name": "Free", "price": 0, "stock": 9}


def test_every_table_that_names_a_member_is_in_the_report_or_left_out_with_a_reason() -> None:
    tied = {
        f"{table.name}.{key.parent.name}"
        for table in Base.metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table.name == "users"
    }
    assert tied | UNTIED == HELD.keys() | LEFT_OUT.keys()
    assert set(HELD.values()) == {"user", "wallet", *(section.name for section in account.SECTIONS)}


def test_the_report_has_all_rows_that_name_the_member_and_no_others(
    app: Flask, owner: CheckedClient, work: Work
) -> None:
    named = {column: ids_named(app, column, owner.user_id) for column in HELD}
    report = as_json(owner, work, kind="account")
    wallet = report.pop("wallet")
    assert wallet == owner.get("/api/v1/wallet").get_json()
    assert report.pop("kind") == "account"
    assert set(report) | {"wallet"} == set(HELD.values())
    for column, section in HELD.items():
        if section != "wallet":
            assert named[column], f"the test has nothing in {column}"
            assert named[column] <= ids_in(report, section), column
    for section in report:
        theirs = (ids_named(app, column, owner.user_id) for column, where in HELD.items() if where == section)
        assert ids_in(report, section) <= set().union(*theirs), section


def test_items_are_those_of_the_api(app: Flask, owner: CheckedClient, work: Work) -> None:
    report = as_json(owner, work, kind="account")
    assert report["user"] == owner.get("/auth/me").get_json()
    for section in ("todos", "orders", "files", "transfers"):
        for item in report[section]:
            assert item == owner.get(f"/api/v1/{section}/{item['id']}").get_json()
    assert report["notifications"][0]["message"]
    assert {"id", "address", "agent"} < report["sessions"][0].keys()
    assert "password" not in str(report)


def test_a_withdrawn_product_and_a_hidden_post_are_still_held(as_user: AsUser, work: Work) -> None:
    member, moderator = as_user(), as_user("moderator")
    product = member.post("/api/v1/products", json=PRODUCT).get_json()["id"]
    post = member.post("/api/v1/posts", json={"title": "t", "content": "c"}).get_json()["id"]
    assert member.delete(f"/api/v1/products/{product}").status_code == 204
    assert moderator.patch(f"/api/v1/posts/{post}", json={"is_hidden": True}).status_code == 200
    report = as_json(member, work, kind="account")
    assert (ids_in(report, "products"), ids_in(report, "posts")) == ({product}, {post})
    assert [record["action"] for record in report["audit"]] == ["session.created", "post.hidden"]


def test_a_long_account_is_read_a_page_at_a_time(
    as_user: AsUser, work: Work, monkeypatch: pytest.MonkeyPatch, count_queries: Counter
) -> None:
    member = as_user()
    for number in range(7):
        member.post("/api/v1/todos", json={"task": f"t{number}"})
    monkeypatch.setattr(account, "PAGE_SIZE", 3)
    with count_queries() as statements:
        report = as_json(member, work, kind="account")
    assert [todo["task"] for todo in report["todos"]] == [f"t{number}" for number in range(7)]
    pages = [statement for statement in statements if "FROM todos" in statement]
    assert len(pages) == 4
    assert all("LIMIT" in statement for statement in pages)


@pytest.mark.parametrize("wrong", [{"format": "csv"}, {"format": "pdf"}, {"since": "2024-01-01T00:00:00Z"}])
def test_an_account_is_whole_and_json(as_user: AsUser, wrong: dict[str, Any]) -> None:
    member = as_user()
    answer = member.post(URL, json={"kind": "account", "format": "json", **wrong})
    assert (answer.status_code, list(answer.get_json()["errors"])) == (400, list(wrong))
    assert member.get("/api/v1/jobs").get_json()["total"] == 0
