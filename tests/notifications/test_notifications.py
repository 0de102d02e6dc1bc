"""Who is told what, and that it is told once, read by its owner alone, and erased with the person."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app.core import clock
from app.core.unit_of_work import unit_of_work
from app.jobs import kinds
from app.jobs.kinds import JobFailed, JobKind, Run
from app.jobs.service import enqueue
from tests.client import CheckedClient
from tests.conftest import AsUser
from tests.notifications.conftest import Work
from tests.notifications.market import deposit, made, messages, order, step, told, transfer


@pytest.fixture
def bank(as_user: AsUser) -> CheckedClient:
    return as_user("treasurer", name="Tess Treasurer")


@pytest.fixture
def seller(as_user: AsUser) -> CheckedClient:
    return as_user(name="Sam Seller")


@pytest.fixture
def buyer(as_user: AsUser, bank: CheckedClient, work: Work) -> CheckedClient:
    """A member with 100.00, who has read of it."""
    buyer = as_user(name="Bea Buyer")
    deposit(bank, buyer.user_id, 10_000)
    work()
    return buyer


def test_the_seller_is_told_of_an_order(buyer: CheckedClient, seller: CheckedClient, work: Work) -> None:
    placed = order(buyer, seller)
    work()
    (notification,) = told(seller)
    assert notification | {"created_at": "", "updated_at": ""} == {
        "id": 2,
        "kind": "order_placed",
        "message": "Bea Buyer has placed an order with you for 12.50 EUR: order 1.",
        "data": {
            "order_id": placed["id"],
            "buyer_id": buyer.user_id,
            "seller_id": seller.user_id,
            "total": 1250,
            "by": buyer.user_id,
        },
        "read": False,
        "created_at": "",
        "updated_at": "",
    }
    assert len(told(buyer)) == 1


def test_the_seller_is_told_when_the_buyer_completes_an_order(
    buyer: CheckedClient, seller: CheckedClient, work: Work
) -> None:
    step(buyer, order(buyer, seller)["id"], "completion")
    work()
    assert messages(seller, kind="order_completed") == ["Bea Buyer has completed order 1: 12.50 EUR is yours."]
    assert len(told(seller)) == 2  # of the order too; the payout is no news beside it
    assert len(told(buyer)) == 1


def test_both_are_told_when_an_order_completes_by_itself(
    app: Flask, monkeypatch: pytest.MonkeyPatch, buyer: CheckedClient, seller: CheckedClient, work: Work
) -> None:
    order(buyer, seller)
    work()
    later = clock.now() + timedelta(days=15)
    monkeypatch.setattr(clock, "now", lambda: later)
    with app.app_context():
        unit_of_work(lambda: enqueue("orders.complete"))
    work()
    monkeypatch.undo()
    itself = "was open for 14 days and has completed by itself"
    assert messages(seller, kind="order_completed") == [f"Order 1 by Bea Buyer {itself}: 12.50 EUR is yours."]
    assert messages(buyer, kind="order_completed") == [
        f"Your order 1 from Sam Seller {itself}: 12.50 EUR has gone to the seller."
    ]


def test_who_has_not_cancelled_an_order_is_told_that_the_other_has(
    buyer: CheckedClient, seller: CheckedClient, work: Work
) -> None:
    for canceller in (buyer, seller):
        step(canceller, order(buyer, seller)["id"], "cancellation")
    work()
    assert messages(seller, kind="order_cancelled") == [
        "Bea Buyer has cancelled order 1: what was ordered is back in stock."
    ]
    assert messages(buyer, kind="order_cancelled") == [
        "Sam Seller has cancelled your order 2: 12.50 EUR is back in your wallet."
    ]
    assert messages(buyer, kind="transfer_received") == ["The community has sent you 100.00 EUR."]


def test_the_receiver_is_told_of_transfers_deposits_and_reversals(
    bank: CheckedClient, buyer: CheckedClient, seller: CheckedClient, work: Work
) -> None:
    sent = transfer(buyer, seller.user_id, 5, "a memo")
    made(bank.post(f"/api/v1/transfers/{sent['id']}/reversal"))
    made(bank.post("/api/v1/withdrawals", json={"user_id": buyer.user_id, "amount": 7}))
    work()
    assert messages(seller) == ["Bea Buyer has sent you 0.05 EUR."]
    assert messages(buyer) == [
        "The community has sent you 100.00 EUR.",
        "A transfer of yours has been reversed: 0.05 EUR is back in your wallet.",
    ]
    assert told(seller)[0]["data"] == {
        "transfer_id": sent["id"],
        "kind": "transfer",
        "sender_id": buyer.user_id,
        "receiver_id": seller.user_id,
        "amount": 5,
    }
    assert told(bank) == []


@pytest.fixture
def finish(app: Flask, monkeypatch: pytest.MonkeyPatch, work: Work) -> Any:
    """Have a job of some kind come to some end."""

    def end(member: CheckedClient, kind: str, outcome: Mapping[str, Any] | Exception | None) -> None:
        def perform(_run: Run) -> Mapping[str, Any] | None:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setitem(app.extensions[kinds.EXTENSION], kind, JobKind(kind, perform))
        with app.app_context():
            unit_of_work(lambda: enqueue(kind, user_id=member.user_id))
        work()

    return end


def test_the_owner_is_told_of_a_report_and_an_import_whether_they_succeed_or_fail(as_user: AsUser, finish: Any) -> None:
    member, result = as_user(), {"rows": 3, "good": 2, "bad": 1, "created": 2}
    finish(member, "report", None)
    finish(member, "report", JobFailed("too_much", "The period is too long."))
    finish(member, "import", result)
    finish(member, "import", JobFailed("no_header", "The file has no header."))
    finish(member, "thumbnail", None)
    assert messages(member) == [
        "Your report is ready.",
        "Your report could not be made. The period is too long.",
        "Your import is done: 3 rows, 2 good, 1 bad, 2 created.",
        "Your import has failed. The file has no header.",
    ]
    assert [notification["kind"] for notification in told(member)] == ["report_ready"] * 2 + ["import_done"] * 2
    jobs = member.get("/api/v1/jobs", query_string={"sort": "created_at", "kind": "import"}).get_json()["jobs"]
    assert [notification["data"] for notification in told(member, kind="import_done")] == [
        {"job_id": job["id"], **{name: job[name] for name in ("status", "result", "error")}} for job in jobs
    ]


def test_who_has_cancelled_a_job_is_not_told_of_it(as_user: AsUser, finish: Any) -> None:
    member = as_user()
    finish(member, "report", kinds.JobCancelled())
    assert member.get("/api/v1/jobs").get_json()["jobs"][0]["status"] == "cancelled"
    assert told(member) == []


def test_everything_is_told_once(buyer: CheckedClient, seller: CheckedClient, work: Work) -> None:
    for _ in range(2):
        key = {"Idempotency-Key": "once"}
        buyer.post("/api/v1/transfers", json={"receiver_id": seller.user_id, "amount": 5}, headers=key)
        work()
        work()
    assert len(told(seller)) == 1


def test_what_did_not_happen_is_not_told(buyer: CheckedClient, seller: CheckedClient, work: Work) -> None:
    body = {"receiver_id": seller.user_id, "amount": 5}
    assert buyer.post("/api/v1/transfers?dry_run=true", json=body).status_code == 201
    assert buyer.post("/api/v1/transfers", json=body | {"amount": 10_001}).status_code == 409
    placed = order(buyer, seller)
    assert buyer.post(f"/api/v1/orders/{placed['id']}/cancellation?dry_run=true").status_code == 200
    assert seller.post(f"/api/v1/orders/{placed['id']}/completion").status_code == 403
    work()
    assert [notification["kind"] for notification in told(seller)] == ["order_placed"]
    assert len(told(buyer)) == 1


def test_a_notification_is_marked_as_read_and_unread(buyer: CheckedClient) -> None:
    first = buyer.get("/api/v1/notifications/1")
    tags = [first.headers["ETag"]]
    for read in (True, False):
        answer = buyer.patch("/api/v1/notifications/1", json={"read": read}, headers={"If-Match": tags[-1]})
        assert (answer.status_code, answer.get_json()["read"]) == (200, read)
        tags.append(answer.headers["ETag"])
        assert buyer.get("/api/v1/notifications/1").headers["ETag"] == tags[-1]
        assert len(told(buyer, read=str(read).lower())) == 1
        assert told(buyer, read=str(not read).lower()) == []
    assert len(set(tags)) == 3
    stale = buyer.patch("/api/v1/notifications/1", json={"read": True}, headers={"If-Match": tags[0]})
    assert stale.status_code == 412
    assert buyer.patch("/api/v1/notifications/1", json={}).headers["ETag"] == tags[-1]


@pytest.mark.parametrize("body", [{"read": None}, {"read": "true"}, {"message": "x"}, {"kind": "order_placed"}])
def test_nothing_but_read_can_be_changed(buyer: CheckedClient, body: dict[str, Any]) -> None:
    answer = buyer.patch("/api/v1/notifications/1", json=body)
    assert (answer.status_code, list(answer.get_json()["errors"])) == (400, list(body))


def test_a_notification_is_its_owners_alone(buyer: CheckedClient, bank: CheckedClient, as_user: AsUser) -> None:
    for other in (bank, as_user("admin")):
        assert other.get("/api/v1/notifications/1").status_code == 404
        assert other.patch("/api/v1/notifications/1", json={"read": True}).status_code == 404
        assert told(other) == []
    assert told(buyer)[0]["read"] is False


def test_the_list_is_filtered_by_kind_and_time(buyer: CheckedClient, seller: CheckedClient, work: Work) -> None:
    step(buyer, order(buyer, seller)["id"], "completion")
    work()
    placed, completed = told(seller)
    assert told(seller, kind="order_placed") == [placed]
    assert told(seller, kind__in="order_completed,import_done") == [completed]
    assert told(seller, created_at__gt=placed["created_at"]) == [completed]
    assert seller.get("/api/v1/notifications").get_json()["notifications"] == [completed, placed]
    assert seller.get("/api/v1/notifications?kind=nonsense").status_code == 400


def test_an_erased_member_is_named_to_nobody_any_more(
    buyer: CheckedClient, seller: CheckedClient, bank: CheckedClient, work: Work
) -> None:
    transfer(buyer, seller.user_id, 10_000, "from Bea")
    work()
    before = seller.get("/api/v1/notifications/2").headers["ETag"]
    assert buyer.delete(f"/api/v1/users/{buyer.user_id}").status_code == 204
    answer = seller.get("/api/v1/notifications/2")
    assert answer.get_json()["message"] == "deleted member has sent you 100.00 EUR."
    assert "Bea" not in answer.text
    assert answer.headers["ETag"] != before


def test_notifications_are_erased_with_their_owner_and_none_is_made_afterwards(
    app: Flask, buyer: CheckedClient, seller: CheckedClient, bank: CheckedClient, work: Work
) -> None:
    transfer(buyer, seller.user_id, 1)
    work()
    transfer(buyer, seller.user_id, 1)  # is told of only after the seller has gone
    transfer(seller, buyer.user_id, 2)
    assert seller.delete(f"/api/v1/users/{seller.user_id}").status_code == 204
    work()
    assert len(told(buyer)) == 2
    assert buyer.get("/api/v1/notifications/2").status_code == 404
    last = transfer(bank_with_credits(bank, work), buyer.user_id, 1)
    work()
    assert [told(buyer)[-1]["id"], told(buyer)[-1]["data"]["transfer_id"]] == [5, last["id"]]


def bank_with_credits(bank: CheckedClient, work: Work) -> CheckedClient:
    deposit(bank, bank.user_id, 5)
    work()
    return bank


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Zoë 🐝 Øst", "Zoë 🐝 Øst"),
        ("Eve\r\n\r\nYour account\tis locked", "Eve Your account is locked"),
        ("Eve\u202etxt\u2066", "Evetxt"),
        ("דוד לוי", "דוד לוי"),
        ("\u202e\u202d", "Somebody"),
        ("<b>Bold</b> & {{ 7*7 }}", "<b>Bold</b> & {{ 7*7 }}"),
    ],
)
def test_a_name_stays_within_its_place_in_the_sentence(
    as_user: AsUser, bank: CheckedClient, work: Work, name: str, shown: str
) -> None:
    sender, receiver = as_user(name=name), as_user()
    deposit(bank, sender.user_id, 5)
    transfer(sender, receiver.user_id, 5)
    work()
    assert messages(receiver) == [f"{shown} has sent you 0.05 EUR."]
