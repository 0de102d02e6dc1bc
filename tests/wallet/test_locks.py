"""Behind a locked account: everyone waits as long as LOCK_TIMEOUT says in all, and hears the right word."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import create_engine

from app import create_app
from app.core.waiting import record_wait
from tests.client import CheckedClient
from tests.conftest import AsUser, dispose, new_client, use_token
from tests.wallet.test_wallet import TRANSFERS, fund

LOCK_TIMEOUT = 4  # seconds
WAITERS = 3  # The second waits for the first, and then, if there is time left, for the account.

Told = tuple[int, str, str, float]


@pytest.fixture
def patient(app: Flask) -> Iterator[Flask]:
    settings = {"DATABASE_URL": app.config["DATABASE_URL"], "LOCK_TIMEOUT": LOCK_TIMEOUT}
    patient_app = create_app("testing", settings)
    patient_app.test_client_class = CheckedClient
    yield patient_app
    dispose(patient_app)


@contextmanager
def locked_accounts(app: Flask) -> Iterator[None]:
    engine = create_engine(app.config["DATABASE_URL"])
    lock = "SELECT id FROM accounts FOR UPDATE" if engine.dialect.name == "postgresql" else "BEGIN IMMEDIATE"
    with engine.connect() as connection:
        connection.exec_driver_sql(lock)
        yield
    engine.dispose()


def transfer(app: Flask, member: CheckedClient, to: int, *, key: str, waited: float = 0.0) -> Told:
    """Try a transfer in this thread, and return what was answered, and after how many seconds."""
    client = new_client(app)
    use_token(client, member.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
    record_wait(waited)
    begun = time.monotonic()
    answer = client.post(TRANSFERS, json={"receiver_id": to, "amount": 1}, headers={"Idempotency-Key": key})
    seconds = time.monotonic() - begun
    record_wait(0.0)
    return answer.status_code, answer.get_json()["code"], answer.headers["Retry-After"], seconds


def test_all_who_wait_behind_a_locked_account_are_answered_in_one_time_limit(patient: Flask, as_user: AsUser) -> None:
    members, receiver, treasurer = [as_user() for _ in range(WAITERS)], as_user(), as_user("treasurer")
    for member in members:
        fund(treasurer, member, 10)
    with locked_accounts(patient), ThreadPoolExecutor(WAITERS) as pool:
        waiting = [
            pool.submit(transfer, patient, member, receiver.user_id, key=f"key-{member.user_id}") for member in members
        ]
        answers = [each.result() for each in waiting]
    assert {answer[:3] for answer in answers} == {(503, "unavailable", "1")}
    assert max(answer[3] for answer in answers) < LOCK_TIMEOUT * 1.75


def test_the_wait_for_a_thread_is_a_part_of_the_wait_for_locks(patient: Flask, as_user: AsUser) -> None:
    member, receiver = as_user(), as_user()
    fund(as_user("treasurer"), member, 10)
    with locked_accounts(patient):
        waited = LOCK_TIMEOUT - 0.5
        status, code, retry_after, seconds = transfer(patient, member, receiver.user_id, key="a key", waited=waited)
    assert (status, code, retry_after) == (503, "unavailable", "1")
    assert seconds < LOCK_TIMEOUT * 0.75
    assert member.post(TRANSFERS, json={"receiver_id": receiver.user_id, "amount": 1}).status_code == 201
