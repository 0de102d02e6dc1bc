"""A small market of the year 2024, and a worker for the reports on it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.core import clock
from app.core.background.dispatcher import DEFAULT_QUEUE
from app.core.caller import Caller
from app.core.permissions import ROLES
from app.core.unit_of_work import unit_of_work
from app.jobs import runner
from app.orders import service as orders
from app.wallet import service as wallet
from tests.client import CheckedClient
from tests.conftest import AsUser

Json = dict[str, Any]
Work = Callable[[], None]
At = Callable[[str, Callable[[], Any]], Any]

URL = "/api/v1/reports"


@pytest.fixture
def work(app: Flask) -> Work:
    """Do all jobs that are due, as a worker does."""

    def run_all() -> None:
        with app.app_context():
            while runner.run_next(DEFAULT_QUEUE):
                pass

    return run_all


@pytest.fixture
def at(app: Flask, monkeypatch: pytest.MonkeyPatch) -> At:
    """Do something at a moment of the year 2024, given as month, day and time."""

    def do(moment: str, what: Callable[[], Any]) -> Any:
        with monkeypatch.context() as patch, app.app_context():
            patch.setattr(clock, "now", lambda: datetime.fromisoformat(f"2024-{moment}").replace(tzinfo=UTC))
            return unit_of_work(what)

    return do


def caller(member: CheckedClient) -> Caller:
    return Caller(member.user_id, permissions=ROLES["member"])


@dataclass
class Market:
    """Ada sells to Bob; a treasurer gives them credits."""

    ada: CheckedClient
    bob: CheckedClient
    treasurer: CheckedClient
    products: list[int]


@pytest.fixture
def market(as_user: AsUser, at: At) -> Market:
    ada, bob, treasurer = as_user(name="Ada"), as_user(name="Bob & <b>Co</b>"), as_user("treasurer")
    products = [
        ada.post("/api/v1/products", json={"name": name, "price": price, "stock": 99}).get_json()["id"]
        for name, price in (("Honey", 700), ("=Bread", 450), ("Never sold", 1))
    ]

    def order(product: int, quantity: int) -> int:
        placed = orders.create_order(caller(bob), lines=[{"product_id": products[product], "quantity": quantity}])
        return int(placed["id"])

    def step(take: Callable[[Caller, Any], Any], order_id: int) -> None:
        take(caller(bob), orders.open_order(caller(bob), order_id))

    at("01-10 12:00", lambda: wallet.deposit(user_id=bob.user_id, amount=10_000, memo="Welcome"))
    at("01-10 12:01", lambda: wallet.deposit(user_id=ada.user_id, amount=5_000, memo=""))
    at("01-31 23:59", lambda: wallet.create_transfer(caller(bob), receiver_id=ada.user_id, amount=300, memo="=1+1"))
    honey = at("02-05 09:00", lambda: order(0, 2))
    at("02-06 09:00", lambda: step(orders.complete_order, honey))
    at("03-01 00:00", lambda: wallet.create_transfer(caller(ada), receiver_id=bob.user_id, amount=100, memo="-5, ok"))
    bread = at("05-05 09:00", lambda: order(1, 3))
    at("05-05 09:01", lambda: step(orders.cancel_order, bread))
    at("05-06 09:00", lambda: order(1, 1))
    at("05-07 09:00", lambda: wallet.withdraw(user_id=bob.user_id, amount=1_000, memo="Cash"))
    return Market(ada, bob, treasurer, products)


def written(member: CheckedClient, work: Work, **asked: Any) -> tuple[Json, TestResponse]:
    """Ask for a report, let it be written, and return the job and the file."""
    answer = member.post(URL, json=asked)
    assert answer.status_code == 202, answer.text
    work()
    job = member.get(answer.headers["Location"]).get_json()
    assert job["status"] == "succeeded", job["error"]
    file = member.get(job["result_url"])
    assert file.status_code == 200
    return job, file


def as_json(member: CheckedClient, work: Work, **asked: Any) -> Json:
    _, file = written(member, work, format="json", **asked)
    content: Json = file.get_json()
    return content
