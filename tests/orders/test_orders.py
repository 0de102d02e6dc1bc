"""Orders: stock and credits move together, or not at all."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app.core import clock
from app.core.unit_of_work import unit_of_work
from app.orders import service
from tests.client import CheckedClient
from tests.conftest import AsUser
from tests.wallet.test_wallet import balance, check_books, fund

URL = "/api/v1/orders"


def offer(seller: CheckedClient, **fields: Any) -> int:
    made = seller.post("/api/v1/products", json={"name": "Bread", "price": 30, "stock": 10, **fields})
    assert made.status_code == 201
    product_id: int = made.get_json()["id"]
    return product_id


def order_of(*lines: tuple[int, int]) -> dict[str, Any]:
    return {"lines": [{"product_id": product, "quantity": quantity} for product, quantity in lines]}


def stock(client: CheckedClient, product_id: int) -> int:
    found: int = client.get(f"/api/v1/products/{product_id}").get_json()["stock"]
    return found


@pytest.fixture
def market(as_user: AsUser) -> tuple[CheckedClient, CheckedClient, CheckedClient]:
    """A buyer with 1,000 credits, a seller, and a treasurer."""
    buyer, seller, treasurer = as_user(name="Buyer"), as_user(name="Seller"), as_user("treasurer")
    fund(treasurer, buyer, 1000)
    return buyer, seller, treasurer


Market = tuple[CheckedClient, CheckedClient, CheckedClient]


def test_an_order_takes_stock_and_holds_the_total_until_it_is_completed(market: Market) -> None:
    buyer, seller, treasurer = market
    bread, cake = offer(seller), offer(seller, name="Cake", price=100, stock=1)
    placed = buyer.post(URL, json=order_of((cake, 1), (bread, 2)))
    assert placed.status_code == 201
    order = placed.get_json()
    assert (order["status"], order["total"], order["seller_id"]) == ("placed", 160, seller.user_id)
    assert order["lines"][1] == {"product_id": bread, "name": "Bread", "unit_price": 30, "quantity": 2}
    assert (stock(buyer, bread), stock(buyer, cake)) == (8, 0)
    assert (balance(buyer), balance(seller)) == (840, 0)
    for party in (buyer, seller):
        assert party.get(placed.headers["Location"]).get_json() == order
        assert party.get(URL).get_json()["orders"] == [order]
    assert check_books(treasurer)["accounts"] == 3

    url = f"{URL}/{order['id']}/completion"
    assert treasurer.post(url).status_code == 404
    assert seller.post(url).status_code == 403
    completed = buyer.post(url)
    assert (completed.status_code, completed.get_json()["status"]) == (200, "completed")
    assert (balance(buyer), balance(seller)) == (840, 160)
    for step in ("completion", "cancellation"):
        assert buyer.post(f"{URL}/{order['id']}/{step}").get_json()["code"] == "order_not_open"
    check_books(treasurer)


@pytest.mark.parametrize("who", [0, 1])
def test_buyer_and_seller_can_cancel_and_everything_goes_back(market: Market, who: int) -> None:
    buyer, seller, treasurer = market
    bread = offer(seller)
    order = buyer.post(URL, json=order_of((bread, 10))).get_json()
    assert stock(buyer, bread) == 0
    assert market[who].post(f"{URL}/{order['id']}/cancellation").get_json()["status"] == "cancelled"
    assert (stock(buyer, bread), balance(buyer), balance(seller)) == (10, 1000, 0)
    check_books(treasurer)


def test_an_order_that_cannot_be_leaves_everything_as_it_was(market: Market, as_user: AsUser) -> None:
    buyer, seller, treasurer = market
    bread, dear = offer(seller), offer(seller, price=2000)
    asleep, other = offer(seller, is_active=False), offer(as_user())
    mine = offer(buyer)
    withdrawn = offer(seller)
    seller.delete(f"/api/v1/products/{withdrawn}")
    for body, status, code in (
        (order_of((bread, 1), (dear, 1)), 409, "insufficient_funds"),
        (order_of((bread, 11)), 409, "out_of_stock"),
        (order_of((bread, 1), (asleep, 1)), 409, "product_inactive"),
        (order_of((bread, 1), (99, 1)), 404, "not_found"),
        (order_of((bread, 1), (withdrawn, 1)), 404, "not_found"),
        (order_of((bread, 1), (other, 1)), 400, "validation_failed"),
        (order_of((bread, 1), (bread, 1)), 400, "validation_failed"),
        (order_of((mine, 1)), 400, "validation_failed"),
        (order_of((mine, 11)), 400, "validation_failed"),
        (order_of((bread, 11), (other, 1)), 400, "validation_failed"),
        (order_of((bread, 0)), 400, "validation_failed"),
        (order_of(), 400, "validation_failed"),
        ({"lines": [{"product_id": bread}]}, 400, "validation_failed"),
        ({"lines": [{"product_id": bread, "quantity": 1, "price": 1}]}, 400, "validation_failed"),
    ):
        refused = buyer.post(URL, json=body)
        assert (refused.status_code, refused.get_json()["code"]) == (status, code), body
    assert (stock(buyer, bread), balance(buyer), buyer.get(URL).get_json()["total"]) == (10, 1000, 0)
    check_books(treasurer)


def test_a_line_that_does_not_fit_is_named_by_its_number(market: Market) -> None:
    body = {"lines": [{"product_id": 1, "quantity": 1}, {"product_id": "x", "quantity": 0}]}
    assert set(market[0].post(URL, json=body).get_json()["errors"]) == {"lines.1.product_id", "lines.1.quantity"}


def test_what_costs_nothing_is_ordered_without_a_transfer(market: Market) -> None:
    buyer, seller, treasurer = market
    order = buyer.post(URL, json=order_of((offer(seller, price=0), 1))).get_json()
    assert buyer.post(f"{URL}/{order['id']}/completion").get_json()["total"] == 0
    assert check_books(treasurer)["entries"] == 2


def test_a_dry_run_shows_the_order_with_its_total_and_leaves_no_trace(market: Market) -> None:
    buyer, seller, treasurer = market
    bread = offer(seller)
    shown = buyer.post(f"{URL}?dry_run=true", json=order_of((bread, 2)))
    assert (shown.status_code, shown.get_json()["id"], shown.get_json()["total"]) == (201, None, 60)
    assert (stock(buyer, bread), balance(buyer), buyer.get(URL).get_json()["total"]) == (10, 1000, 0)
    assert check_books(treasurer)["accounts"] == 2


def test_an_order_that_stays_open_for_14_days_completes_by_itself(
    app: Flask, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer, seller, treasurer = market
    order = buyer.post(URL, json=order_of((offer(seller), 1))).get_json()
    with app.app_context():
        assert service.due_orders() == []
        later = clock.now() + service.OPEN_FOR + timedelta(seconds=1)
        with monkeypatch.context() as patch:
            patch.setattr(clock, "now", lambda: later)
            assert service.due_orders() == [order["id"]]
        assert unit_of_work(lambda: service.complete_due_order(order["id"])) is True
        assert unit_of_work(lambda: service.complete_due_order(order["id"])) is False
    assert (balance(seller), buyer.get(f"{URL}/{order['id']}").get_json()["status"]) == (30, "completed")
    check_books(treasurer)


def test_a_member_with_an_open_order_cannot_be_deleted(market: Market) -> None:
    buyer, seller, _ = market
    order = buyer.post(URL, json=order_of((offer(seller), 1))).get_json()
    refused = seller.delete(f"/api/v1/users/{seller.user_id}")
    assert (refused.status_code, refused.get_json()["code"]) == (409, "account_not_empty")
    buyer.post(f"{URL}/{order['id']}/cancellation")
    assert seller.delete(f"/api/v1/users/{seller.user_id}").status_code == 204
    assert buyer.get(f"{URL}/{order['id']}").get_json()["seller_id"] == seller.user_id


@pytest.mark.parametrize(("sent", "status"), [({"json": {}}, 200), ({"json": {"x": 1}}, 400), ({"data": b"{"}, 415)])
def test_a_step_takes_no_fields(market: Market, sent: dict[str, Any], status: int) -> None:
    buyer, seller, _ = market
    order = buyer.post(URL, json=order_of((offer(seller), 1)))
    cancelled = buyer.post(f"{order.headers['Location']}/cancellation", **sent)
    assert cancelled.status_code == status
    if status == 200:
        assert cancelled.headers["ETag"] == buyer.get(order.headers["Location"]).headers["ETag"]
