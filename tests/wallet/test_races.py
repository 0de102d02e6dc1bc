"""Nothing lost, nothing doubled: many at once, and processes that are killed."""

import json
import os
import random
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from tests.client import CheckedClient
from tests.conftest import Again, AsUser
from tests.orders.test_orders import offer, order_of, stock
from tests.postgres import own_server
from tests.test_running import Checkout, checkout
from tests.wallet.test_wallet import TRANSFERS, balance, check_books, fund

__all__ = ["checkout"]  # a fixture

AT_ONCE = 16


def test_transfers_from_all_to_all_keep_every_reading_of_the_ledger_balanced(as_user: AsUser, again: Again) -> None:
    treasurer, members = as_user("treasurer"), [as_user() for _ in range(6)]
    for member in members:
        fund(treasurer, member, 100)

    def send(seed: int) -> int:
        chance = random.Random(seed)  # noqa: S311
        sender, receiver = chance.sample(members, 2)
        body = {"receiver_id": receiver.user_id, "amount": chance.randint(1, 90)}
        return again(sender).post(TRANSFERS, json=body).status_code

    def read(_: int) -> dict[str, Any]:
        return check_books(again(treasurer))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        sent = [pool.submit(send, seed) for seed in range(200)]
        ledgers = [pool.submit(read, n) for n in range(20)]
    statuses = [answer.result() for answer in sent]
    assert set(statuses) <= {201, 409}
    assert {ledger.result()["issued"] for ledger in ledgers} == {600}
    assert sum(map(balance, members)) == 600
    assert treasurer.get(TRANSFERS).get_json()["total"] == 6 + statuses.count(201)


def test_64_buyers_get_the_last_10_pieces(as_user: AsUser) -> None:
    seller, treasurer = as_user(), as_user("treasurer")
    bread = offer(seller, stock=10)
    buyers = [as_user() for _ in range(64)]
    for buyer in buyers:
        fund(treasurer, buyer, 30)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda buyer: buyer.post("/api/v1/orders", json=order_of((bread, 1))), buyers))
    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [409] * 54
    assert {answer.get_json()["code"] for answer in answers if answer.status_code == 409} == {"out_of_stock"}
    assert stock(seller, bread) == 0
    assert sum(map(balance, buyers)) == 54 * 30
    check_books(treasurer)


def test_32_transfers_with_one_key_are_one(as_user: AsUser, again: Again) -> None:
    ada, bob, treasurer = as_user(), as_user(), as_user("treasurer")
    fund(treasurer, ada, 1000)
    body, key = {"receiver_id": bob.user_id, "amount": 10}, {"Idempotency-Key": "once"}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        clients = [again(ada) for _ in range(32)]
        answers = list(pool.map(lambda client: client.post(TRANSFERS, json=body, headers=key), clients))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.data for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 31
    assert (balance(ada), balance(bob)) == (990, 10)


def test_a_transfer_that_failed_stays_failed_for_its_key(as_user: AsUser) -> None:
    ada, bob, treasurer = as_user(), as_user(), as_user("treasurer")
    body, key = {"receiver_id": bob.user_id, "amount": 10}, {"Idempotency-Key": "once"}
    refused = ada.post(TRANSFERS, json=body, headers=key)
    fund(treasurer, ada, 1000)
    repeat = ada.post(TRANSFERS, json=body, headers=key)
    assert (refused.status_code, repeat.status_code) == (409, 409)
    assert repeat.headers["Idempotent-Replayed"] == "true"
    first, second = refused.get_json(), repeat.get_json()
    assert first.pop("request_id") != second.pop("request_id")
    assert first == second
    assert balance(ada) == 1000


@pytest.mark.parametrize("attempt", range(5))
def test_of_completion_and_cancellation_at_once_one_wins(as_user: AsUser, again: Again, attempt: int) -> None:
    buyer, seller, treasurer = as_user(), as_user(), as_user("treasurer")
    fund(treasurer, buyer, 100)
    bread = offer(seller)
    order = buyer.post("/api/v1/orders", json=order_of((bread, 1))).get_json()
    steps = [(again(buyer), "completion"), (again(seller), "cancellation"), (again(buyer), "cancellation")]
    with ThreadPoolExecutor(len(steps)) as pool:
        answers = list(pool.map(lambda step: step[0].post(f"/api/v1/orders/{order['id']}/{step[1]}"), steps))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    completed = buyer.get(f"/api/v1/orders/{order['id']}").get_json()["status"] == "completed"
    assert (balance(buyer), balance(seller), stock(buyer, bread)) == ((70, 30, 9) if completed else (100, 0, 10))
    check_books(treasurer)


def test_both_ways_at_once_do_not_wait_for_each_other(as_user: AsUser, again: Again) -> None:
    ada, bob, treasurer = as_user(), as_user(), as_user("treasurer")
    for member in (ada, bob):
        fund(treasurer, member, 1000)
    pairs = [(ada, bob), (bob, ada)] * 20

    def send(pair: tuple[CheckedClient, CheckedClient]) -> int:
        answer = again(pair[0]).post(TRANSFERS, json={"receiver_id": pair[1].user_id, "amount": 1})
        return answer.status_code

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert set(pool.map(send, pairs)) == {201}
    assert (balance(ada), balance(bob)) == (1000, 1000)


@pytest.mark.parametrize("round_", range(6))
def test_nobody_is_paid_while_being_deleted(as_user: AsUser, again: Again, round_: int) -> None:
    ada, leaving, treasurer = as_user(), as_user(), as_user("treasurer")
    fund(treasurer, ada, 100)
    fund(treasurer, leaving, 1)  # so that there is an account already
    treasurer.post("/api/v1/withdrawals", json={"user_id": leaving.user_id, "amount": 1})
    body = {"receiver_id": leaving.user_id, "amount": 1}

    def leave() -> int:
        return again(leaving).delete(f"/api/v1/users/{leaving.user_id}").status_code

    with ThreadPoolExecutor(AT_ONCE) as pool:
        paid = [pool.submit(lambda: again(ada).post(TRANSFERS, json=body).status_code) for _ in range(round_)]
        left = pool.submit(leave)
        paid += [pool.submit(lambda: again(ada).post(TRANSFERS, json=body).status_code) for _ in range(6)]
    statuses = {answer.result() for answer in paid}
    assert (left.result(), statuses) in [(204, {404}), (409, {201})]
    check_books(treasurer)


def test_if_match_is_decided_while_others_order_the_product(as_user: AsUser, again: Again) -> None:
    seller, buyer, treasurer = as_user(), as_user(), as_user("treasurer")
    bread = offer(seller, price=0, stock=1000)
    url = f"/api/v1/products/{bread}"

    def change(number: int) -> int:
        client = again(seller)
        tag = client.get(url).headers["ETag"]
        return client.patch(url, json={"description": str(number)}, headers={"If-Match": tag}).status_code

    def order(_: int) -> int:
        return again(buyer).post("/api/v1/orders", json=order_of((bread, 1))).status_code

    with ThreadPoolExecutor(8) as pool:
        ordered = pool.map(order, range(40))
        changed = list(pool.map(change, range(20)))
        assert set(ordered) == {201}
    assert set(changed) <= {200, 412}
    assert stock(seller, bread) == 960
    check_books(treasurer)


class Session:
    """A member of the demo who is signed in at a real server."""

    def __init__(self, base: str, name: str) -> None:
        self.base = base
        credentials = {"email": f"{name}@example.com", "password": "Agora-demo-1"}
        answer = self.send("/auth/login", credentials, token="")
        self.token, self.user_id = answer["access_token"], answer["user"]["id"]

    def send(self, path: str, body: Any = None, *, key: str = "", token: str | None = None) -> Any:
        """Send a request, again and again with the same key while the server is away."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token or self.__dict__.get('token')}"}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base + path, data, headers | ({"Idempotency-Key": key} if key else {}))  # noqa: S310
        for _ in range(200):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                    return json.load(answer)
            except (OSError, HTTPException) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code != 503:
                    raise AssertionError(error.read()) from error
            threading.Event().wait(0.05)
        raise AssertionError("The server did not come back")


def transfer_while(checkout: Checkout, killing: Callable[["subprocess.Popen[bytes]"], None]) -> None:
    """Send transfers, each until it is answered, while something is killed; then look at every one of them."""
    checkout.run("flask", "prepare")
    process = checkout.serve(WEB_CONCURRENCY="2")
    treasurer, member = Session(checkout.base, "treasurer"), Session(checkout.base, "member")
    treasurer.send("/api/v1/deposits", {"user_id": member.user_id, "amount": 100_000})
    before = treasurer.send("/api/v1/transfers")["total"]
    keys = [f"transfer-{number}" for number in range(150)]

    def send(key: str) -> Any:
        return member.send(TRANSFERS, {"receiver_id": treasurer.user_id, "amount": 7}, key=key)

    with ThreadPoolExecutor(8) as pool:
        killed = pool.submit(killing, process)
        transfers = list(pool.map(send, keys))
        killed.result()
    assert len({transfer["id"] for transfer in transfers}) == len(keys)
    assert treasurer.send("/api/v1/transfers")["total"] == before + len(keys)
    assert [send(key) for key in keys] == transfers
    assert treasurer.send("/api/v1/ledger")["balanced"] is True
    checkout.stop(process)


def test_a_worker_killed_in_mid_load_loses_and_doubles_nothing(checkout: Checkout) -> None:
    def kill_workers(server: "subprocess.Popen[bytes]") -> None:
        for _ in range(3):
            time.sleep(0.3)
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
            os.kill(int(children.split()[0]), signal.SIGKILL)

    transfer_while(checkout, kill_workers)


def test_a_database_backend_killed_in_mid_load_loses_and_doubles_nothing(
    checkout: Checkout,
) -> None:
    with own_server() as url:
        checkout.environment["DATABASE_URL"] = url
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        backends = text("SELECT pid FROM pg_stat_activity WHERE application_name = 'agora' AND state IS NOT NULL")

        def kill_backends(_server: "subprocess.Popen[bytes]") -> None:
            for _ in range(2):
                time.sleep(0.5)
                with suppress(DBAPIError), engine.connect() as connection:
                    pids = list(connection.scalars(backends))
                    os.kill(pids[0], signal.SIGKILL)

        transfer_while(checkout, kill_backends)
        engine.dispose()
