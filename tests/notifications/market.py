"""A small market, over HTTP: what makes notifications."""

from typing import Any

from tests.client import CheckedClient

Json = dict[str, Any]


def deposit(treasurer: CheckedClient, user_id: int, amount: int) -> Json:
    return made(treasurer.post("/api/v1/deposits", json={"user_id": user_id, "amount": amount}))


def transfer(sender: CheckedClient, receiver_id: int, amount: int, memo: str = "") -> Json:
    sent = {"receiver_id": receiver_id, "amount": amount, "memo": memo}
    return made(sender.post("/api/v1/transfers", json=sent))


def order(buyer: CheckedClient, seller: CheckedClient, *, price: int = 1250) -> Json:
    product = made(seller.post("/api/v1/products", json={"name": "Honey", "price": price, "stock": 5}))
    return made(buyer.post("/api/v1/orders", json={"lines": [{"product_id": product["id"], "quantity": 1}]}))


def step(member: CheckedClient, order_id: int, name: str) -> None:
    assert member.post(f"/api/v1/orders/{order_id}/{name}").status_code == 200


def made(answer: Any) -> Json:
    assert answer.status_code == 201, answer.text
    result: Json = answer.get_json()
    return result


def told(member: CheckedClient, **query: Any) -> list[Json]:
    """What a member has been told, the oldest first."""
    answer = member.get("/api/v1/notifications", query_string={"sort": "created_at", **query})
    found: list[Json] = answer.get_json()["notifications"]
    return found


def messages(member: CheckedClient, **query: Any) -> list[str]:
    return [notification["message"] for notification in told(member, **query)]
