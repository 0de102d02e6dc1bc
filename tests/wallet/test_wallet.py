"""Credits: sent between members, issued and taken back by treasurers, never made and never lost."""

from typing import Any

import pytest

from tests.client import CheckedClient
from tests.conftest import AsUser

TRANSFERS = "/api/v1/transfers"


def fund(treasurer: CheckedClient, member: CheckedClient, amount: int) -> dict[str, Any]:
    answer = treasurer.post("/api/v1/deposits", json={"user_id": member.user_id, "amount": amount})
    assert answer.status_code == 201
    transfer: dict[str, Any] = answer.get_json()
    return transfer


def balance(member: CheckedClient) -> int:
    found: int = member.get("/api/v1/wallet").get_json()["balance"]
    return found


def check_books(treasurer: CheckedClient) -> dict[str, Any]:
    ledger: dict[str, Any] = treasurer.get("/api/v1/ledger").get_json()
    assert (ledger["balanced"], ledger["sum"], ledger["mismatches"]) == (True, 0, [])
    return ledger


def test_a_wallet_is_empty_before_any_movement(as_user: AsUser) -> None:
    member = as_user()
    wallet = member.get("/api/v1/wallet").get_json()
    assert wallet == {"user_id": member.user_id, "balance": 0, "currency": "EUR", "updated_at": None}
    assert member.get("/api/v1/wallet/entries").get_json()["entries"] == []


def test_credits_are_issued_sent_and_taken_back_and_the_books_balance(as_user: AsUser) -> None:
    treasurer, ada, bob = as_user("treasurer"), as_user(name="Ada"), as_user(name="Bob")
    deposit = fund(treasurer, ada, 1000)
    assert (deposit["kind"], deposit["sender_id"], deposit["receiver_id"]) == ("deposit", None, ada.user_id)

    sent = ada.post(TRANSFERS, json={"receiver_id": bob.user_id, "amount": 300, "memo": "For the bread"})
    assert sent.status_code == 201
    transfer = sent.get_json()
    assert ada.get(sent.headers["Location"]).get_json() == transfer
    assert bob.get(sent.headers["Location"]).get_json() == transfer
    assert (balance(ada), balance(bob)) == (700, 300)
    (entry, _) = ada.get("/api/v1/wallet/entries").get_json()["entries"]
    assert (entry["amount"], entry["balance_after"], entry["counterparty"]) == (-300, 700, "Bob")
    assert (entry["kind"], entry["memo"], entry["transfer_id"]) == ("transfer", "For the bread", transfer["id"])

    taken = {"user_id": bob.user_id, "amount": 100, "memo": "Cash"}
    assert treasurer.post("/api/v1/withdrawals", json=taken).get_json()["kind"] == "withdrawal"
    assert balance(bob) == 200
    ledger = check_books(treasurer)
    assert (ledger["entries"], ledger["issued"]) == (6, 900)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"receiver_id": 1, "amount": 1}, 400),
        ({"receiver_id": 99, "amount": 1}, 404),
        ({"receiver_id": 2, "amount": 0}, 400),
        ({"receiver_id": 2, "amount": -5}, 400),
        ({"receiver_id": 2, "amount": 1.0}, 400),
        ({"receiver_id": 2, "amount": "1"}, 400),
        ({"receiver_id": 2, "amount": 10**12 + 1}, 400),
        ({"receiver_id": 2, "amount": 1, "memo": "x" * 201}, 400),
        ({"receiver_id": 2, "amount": 1, "sender_id": 2}, 400),
        ({"receiver_id": 2, "amount": 101}, 409),
    ],
)
def test_a_transfer_that_cannot_be_leaves_everything_as_it_was(
    as_user: AsUser, body: dict[str, Any], status: int
) -> None:
    ada, bob, treasurer = as_user(), as_user(), as_user("treasurer")
    fund(treasurer, ada, 100)
    assert ada.post(TRANSFERS, json=body).status_code == status
    assert (balance(ada), balance(bob)) == (100, 0)
    assert check_books(treasurer)["entries"] == 2


def test_a_disabled_member_receives_nothing(as_user: AsUser) -> None:
    ada, bob, admin = as_user(), as_user(), as_user("admin")
    fund(admin, ada, 10)
    admin.patch(f"/api/v1/users/{bob.user_id}", json={"is_active": False})
    assert ada.post(TRANSFERS, json={"receiver_id": bob.user_id, "amount": 1}).status_code == 404


def test_a_transfer_is_reversed_once_by_a_treasurer(as_user: AsUser) -> None:
    ada, bob, treasurer = as_user(), as_user(), as_user("treasurer")
    fund(treasurer, ada, 100)
    transfer = ada.post(TRANSFERS, json={"receiver_id": bob.user_id, "amount": 40}).get_json()
    url = f"{TRANSFERS}/{transfer['id']}/reversal"
    assert ada.post(url).status_code == 403
    reversal = treasurer.post(url)
    assert reversal.status_code == 201
    assert (reversal.get_json()["kind"], reversal.get_json()["reverses"]) == ("reversal", transfer["id"])
    assert (balance(ada), balance(bob)) == (100, 0)
    for again in (url, f"{TRANSFERS}/{reversal.get_json()['id']}/reversal"):
        assert treasurer.post(again).get_json()["code"] == "not_reversible"
    assert treasurer.post(f"{TRANSFERS}/99/reversal").status_code == 404
    check_books(treasurer)


def test_deposits_and_withdrawals_are_reversed_too_unless_the_credits_are_spent(as_user: AsUser) -> None:
    ada, bob, treasurer = as_user(), as_user(), as_user("treasurer")
    deposit = fund(treasurer, ada, 100)
    withdrawal = treasurer.post("/api/v1/withdrawals", json={"user_id": ada.user_id, "amount": 30}).get_json()
    assert treasurer.post(f"{TRANSFERS}/{withdrawal['id']}/reversal").status_code == 201
    assert balance(ada) == 100
    ada.post(TRANSFERS, json={"receiver_id": bob.user_id, "amount": 1})
    refused = treasurer.post(f"{TRANSFERS}/{deposit['id']}/reversal")
    assert (refused.status_code, refused.get_json()["code"]) == (409, "insufficient_funds")
    assert check_books(treasurer)["issued"] == 100


@pytest.mark.parametrize("role", ["member", "moderator"])
def test_only_treasurers_and_admins_issue_and_audit(as_user: AsUser, role: str) -> None:
    member, other, admin = as_user(role), as_user(), as_user("admin")
    transfer = fund(admin, other, 10)
    body = {"user_id": member.user_id, "amount": 1}
    assert member.post("/api/v1/deposits", json=body).status_code == 403
    assert member.post("/api/v1/withdrawals", json=body).status_code == 403
    assert member.get("/api/v1/ledger").status_code == 403
    assert member.get(f"/api/v1/users/{other.user_id}/wallet").status_code == 403
    assert member.get(f"/api/v1/users/{other.user_id}/wallet/entries").status_code == 403
    assert member.get(f"{TRANSFERS}/{transfer['id']}").status_code == 404
    assert member.get(TRANSFERS).get_json()["total"] == 0
    assert admin.get(TRANSFERS).get_json()["total"] == 1
    assert admin.get(f"/api/v1/users/{other.user_id}/wallet").get_json()["balance"] == 10
    assert admin.get(f"/api/v1/users/{other.user_id}/wallet/entries").get_json()["total"] == 1
    assert admin.get("/api/v1/users/99/wallet").status_code == 404


def test_a_member_with_credits_cannot_be_deleted_and_one_without_leaves_the_books(as_user: AsUser) -> None:
    ada, bob, treasurer = as_user(name="Ada"), as_user(name="Bob"), as_user("treasurer")
    fund(treasurer, ada, 10)
    refused = ada.delete(f"/api/v1/users/{ada.user_id}")
    assert (refused.status_code, refused.get_json()["code"]) == (409, "account_not_empty")
    ada.post(TRANSFERS, json={"receiver_id": bob.user_id, "amount": 10, "memo": "My last words"})
    assert ada.delete(f"/api/v1/users/{ada.user_id}").status_code == 204
    (entry,) = bob.get("/api/v1/wallet/entries").get_json()["entries"]
    assert (entry["counterparty"], entry["memo"], entry["amount"]) == ("deleted member", "", 10)
    check_books(treasurer)


def test_what_others_wrote_to_a_deleted_members_transfers_is_erased_and_nothing_else(as_user: AsUser) -> None:
    ada, bob, eve, treasurer = as_user(name="Ada"), as_user(name="Bob"), as_user(), as_user("treasurer")
    fund(treasurer, ada, 20)
    for receiver, memo in ((bob, "Bob drove Anna to the doctor"), (eve, "For the bread")):
        assert ada.post(TRANSFERS, json={"receiver_id": receiver.user_id, "amount": 5, "memo": memo}).status_code == 201
    for word, memo in (("deposits", "Refund of Bob's fine"), ("withdrawals", "Cash for Bob")):
        issued = {"user_id": bob.user_id, "amount": 5, "memo": memo}
        assert treasurer.post(f"/api/v1/{word}", json=issued).status_code == 201
    bob.post(TRANSFERS, json={"receiver_id": ada.user_id, "amount": 5, "memo": "Bob's last words"})
    assert bob.delete(f"/api/v1/users/{bob.user_id}").status_code == 204
    memos = {transfer["memo"] for transfer in treasurer.get(f"{TRANSFERS}?per_page=100").get_json()["transfers"]}
    assert memos == {"", "For the bread"}
    assert {entry["memo"] for entry in ada.get("/api/v1/wallet/entries").get_json()["entries"]} == memos
    check_books(treasurer)


def test_a_disabled_member_can_be_emptied(as_user: AsUser) -> None:
    member, admin = as_user(), as_user("admin")
    fund(admin, member, 10)
    admin.patch(f"/api/v1/users/{member.user_id}", json={"is_active": False})
    assert admin.post("/api/v1/deposits", json={"user_id": member.user_id, "amount": 1}).status_code == 404
    assert admin.post("/api/v1/withdrawals", json={"user_id": member.user_id, "amount": 10}).status_code == 201
    assert admin.delete(f"/api/v1/users/{member.user_id}").status_code == 204
    check_books(admin)


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "amount", "-amount", "amount,-created_at"])
def test_ones_own_transfers_are_those_sent_and_received_in_one_order(as_user: AsUser, sort: str) -> None:
    treasurer, ada, bob, eve = as_user("treasurer"), as_user(), as_user(), as_user()
    for member in (ada, bob, eve):
        fund(treasurer, member, 50)
    for number in range(9):
        sender, receiver = ((ada, bob), (bob, ada), (bob, eve))[number % 3]
        sender.post(TRANSFERS, json={"receiver_id": receiver.user_id, "amount": 1 + number // 2 % 3})
    everything = treasurer.get(TRANSFERS, query_string={"sort": sort}).get_json()["transfers"]
    own = [transfer for transfer in everything if ada.user_id in (transfer["sender_id"], transfer["receiver_id"])]
    assert len(own) == 7
    by_number, by_cursor = [], []
    cursor: str | None = ""
    for page in range(1, 5):
        by_number += read(ada, sort=sort, page=page)["transfers"]
        answer = read(ada, sort=sort, cursor=cursor)
        by_cursor += answer["transfers"]
        cursor = answer["next_cursor"]
    assert by_number == by_cursor == own
    assert cursor is None
    assert [read(ada, sort=sort, **more)["total"] for more in ({}, {"amount": 50})] == [7, 1]


def read(member: CheckedClient, **query: Any) -> dict[str, Any]:
    page: dict[str, Any] = member.get(TRANSFERS, query_string={"per_page": 2, **query}).get_json()
    return page
