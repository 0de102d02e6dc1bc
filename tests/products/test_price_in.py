"""Products' prices in another currency: from a rate at hand, without asking anybody."""

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.rates.models import Rate
from tests.client import CheckedClient
from tests.conftest import AsUser, Counter

Json = dict[str, Any]

DAY = datetime(2026, 1, 30, tzinfo=UTC)
AS_OF = "2026-01-30T00:00:00Z"
LIST, ITEM = "/api/v1/products", "/api/v1/products/1"


@pytest.fixture
def seller(app: Flask, as_user: AsUser) -> CheckedClient:
    """A member who offers three products, where some old rates are at hand."""
    seller = as_user()
    for price in (1250, 0, 10**12):
        made = seller.post(LIST, json={"name": f"For {price}", "price": price, "stock": 1})
        assert made.status_code == 201
        assert "price_in" not in made.get_json()
    rates = [known("USD", "1.08"), known("JPY", "163.5"), known("IRR", "1000000")]
    with app.app_context():
        unit_of_work(lambda: db.session.add_all(rates))
    return seller


def known(currency: str, rate: str) -> Rate:
    return Rate(base="EUR", currency=currency, rate=rate, as_of=DAY, fetched_at=DAY)


def dollars(amount: int) -> Json:
    return {"currency": "USD", "amount": amount, "as_of": AS_OF}


def test_a_product_has_its_price_in_a_currency_that_is_asked_for(seller: CheckedClient) -> None:
    plain = seller.get(ITEM).get_json()
    assert "price_in" not in plain
    assert seller.get(f"{ITEM}?currency=USD").get_json() == {**plain, "price_in": dollars(1350)}
    assert seller.get(f"{ITEM}?currency=JPY").get_json()["price_in"]["amount"] == 2044


def test_a_list_has_the_price_of_each(seller: CheckedClient) -> None:
    assert all("price_in" not in product for product in seller.get(LIST).get_json()["products"])
    products = seller.get(f"{LIST}?currency=USD&sort=price").get_json()["products"]
    assert [product["price_in"] for product in products] == [dollars(0), dollars(1350), dollars(1080000000000)]


def test_the_communitys_own_currency_is_the_price_itself(seller: CheckedClient) -> None:
    price_in = seller.get(f"{ITEM}?currency=EUR").get_json()["price_in"]
    assert (price_in["currency"], price_in["amount"]) == ("EUR", 1250)


def test_without_a_rate_at_hand_it_is_null(seller: CheckedClient) -> None:
    assert seller.get(f"{ITEM}?currency=GBP").get_json()["price_in"] is None
    assert [product["price_in"] for product in seller.get(f"{LIST}?currency=GBP").get_json()["products"]] == [None] * 3


def test_a_sum_that_is_too_great_for_a_clients_numbers_is_null(seller: CheckedClient) -> None:
    products = seller.get(f"{LIST}?currency=IRR&sort=price").get_json()["products"]
    assert [product["price_in"] and product["price_in"]["amount"] for product in products] == [0, 1250 * 10**6, None]


@pytest.mark.parametrize("odd", ["", "usd", "US", "USDX", "US1", "%C3%84%C3%96%C3%9C", "USD,GBP", "USD&currency=USD"])
@pytest.mark.parametrize("url", [LIST, ITEM])
def test_what_is_no_currency_is_400(seller: CheckedClient, url: str, odd: str) -> None:
    answer = seller.get(f"{url}?currency={odd}")
    assert (answer.status_code, list(answer.get_json()["errors"])) == (400, ["currency"])


def test_no_other_request_takes_a_currency(seller: CheckedClient) -> None:
    body = {"name": "n", "price": 1, "stock": 1}
    for method, url in (("POST", LIST), ("PUT", ITEM), ("PATCH", ITEM), ("DELETE", ITEM), ("GET", "/api/v1/posts")):
        answer = seller.open(f"{url}?currency=USD", method=method, json=body)
        assert (answer.status_code, answer.get_json()["code"]) == (400, "unknown_parameter")


def test_price_in_is_only_read(seller: CheckedClient) -> None:
    answer = seller.patch(ITEM, json={"price_in": None})
    assert (answer.status_code, list(answer.get_json()["errors"])) == (400, ["price_in"])


def test_links_and_cursors_keep_the_currency(seller: CheckedClient) -> None:
    for walk in ("page=1", "cursor="):
        answer = seller.get(f"{LIST}?currency=USD&per_page=1&sort=price&{walk}")
        link = answer.headers["Link"]
        assert link.count("currency=USD") == link.count("; rel=")
        following = next(part for part in link.split(", ") if 'rel="next"' in part).partition(">")[0].lstrip("<")
        assert seller.get(following).get_json()["products"][0]["price_in"] == dollars(1350)


def test_fields_narrow_to_it(seller: CheckedClient) -> None:
    products = seller.get(f"{LIST}?currency=USD&fields=id,price_in&sort=price").get_json()["products"]
    assert products[1] == {"id": 1, "price_in": dollars(1350)}
    assert seller.get(f"{LIST}?fields=id,price_in&sort=price").get_json()["products"][1] == {"id": 1}


def test_each_currency_has_an_entity_tag_of_its_own(seller: CheckedClient) -> None:
    tags = {seller.get(f"{ITEM}{query}").headers["ETag"] for query in ("", "?currency=USD", "?currency=JPY")}
    assert len(tags) == 3
    tag = seller.get(f"{ITEM}?currency=USD").headers["ETag"]
    assert seller.get(f"{ITEM}?currency=USD", headers={"If-None-Match": tag}).status_code == 304
    assert seller.patch(ITEM, json={"stock": 2}, headers={"If-Match": tag}).status_code == 412


@pytest.mark.parametrize("url", [LIST, ITEM])
def test_a_currency_costs_one_statement_and_none_without(
    seller: CheckedClient, count_queries: Counter, url: str
) -> None:
    def cost(query: str) -> int:
        with count_queries() as statements:
            assert seller.get(f"{url}{query}").status_code == 200
        return len(statements)

    assert cost("?currency=USD") == cost("?currency=GBP") == cost("") + 1
    assert cost("?currency=EUR") == cost("")
