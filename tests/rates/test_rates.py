"""Rates: a fresh one, else the last good one, else 503, and never for long."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event, Semaphore
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.core import clock
from app.core.db.engines import READS
from app.extensions import db
from app.rates import service, source
from tests.client import CheckedClient
from tests.conftest import Counter, new_client
from tests.hostile import Behaviour, Hostile, answers, answers_json, closed_port, in_turn, sends, streams
from tests.rates.conftest import AppWith, tells

Json = dict[str, Any]

USD = "/api/v1/rates/USD"
SOON = 20  # seconds; without a limit, it would be never
FRESH: Json = {"currency": "USD", "rate": "1.08", "as_of": "2026-01-30T00:00:00Z", "stale": False}
STALE = {**FRESH, "stale": True}


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let two hours pass."""
    begun = clock.now()

    def pass_by() -> None:
        monkeypatch.setattr(clock, "now", lambda: begun + timedelta(hours=2))

    return pass_by


def unavailable(client: CheckedClient, url: str = USD) -> bool:
    """Return whether the answer is that there is no rate."""
    answer = client.get(url)
    told = (answer.status_code, answer.get_json().get("code"), answer.headers.get("Retry-After"))
    return told == (503, "rates_unavailable", "1")


def test_a_rate_is_what_the_service_tells(rates: CheckedClient, server: Hostile) -> None:
    assert rates.get(USD).get_json() == FRESH
    assert server.requests[0].startswith("GET /latest?base=EUR&symbols=USD HTTP/1.1\r\n")


def test_the_request_is_named_to_the_service(rates: CheckedClient, server: Hostile) -> None:
    rates.get(USD, headers={"X-Request-ID": "request-1234"})
    assert "X-Request-ID: request-1234\r\n" in server.requests[0]


def test_a_fresh_rate_is_not_asked_for_again(rates: CheckedClient, server: Hostile, later: Callable[[], None]) -> None:
    tag = rates.get(USD).headers["ETag"]
    assert rates.get(USD, headers={"If-None-Match": tag}).status_code == 304
    assert rates.head(USD).status_code == 200
    assert len(server.requests) == 1
    later()
    server.behave = tells(USD=1.09)
    assert rates.get(USD).get_json() == {**FRESH, "rate": "1.09"}
    assert len(server.requests) == 2


def test_the_communitys_own_currency_is_worth_one(rates: CheckedClient, server: Hostile) -> None:
    answer = rates.get("/api/v1/rates/EUR").get_json()
    today = datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z")  # noqa: TID251
    assert (answer["rate"], answer["stale"], answer["as_of"]) == ("1", False, today)
    assert server.requests == []


@pytest.mark.parametrize("odd", ["usd", "US", "USDX", "U5D", "ÄÖÜ", "USD ", "%20", "..", "US%0A", "null"])
def test_what_is_no_currency_is_404_without_asking(rates: CheckedClient, server: Hostile, odd: str) -> None:
    assert rates.get(f"/api/v1/rates/{odd}").status_code == 404
    assert server.requests == []


@pytest.mark.parametrize("status", [404, 422])
def test_a_currency_that_the_service_does_not_know_is_404_and_asked_for_once(
    rates: CheckedClient, server: Hostile, status: int
) -> None:
    server.behave = answers(status, b'{"message": "not found"}')
    for _ in range(5):
        assert rates.get("/api/v1/rates/XXX").status_code == 404
    assert len(server.requests) == 1
    server.behave = tells(USD=1.08)
    assert rates.get(USD).get_json() == FRESH


def test_a_currency_that_the_service_has_ceased_to_know_has_its_last_rate(
    rates: CheckedClient, server: Hostile, later: Callable[[], None]
) -> None:
    rates.get(USD)
    later()
    server.behave = answers(404, b"{}")
    assert rates.get(USD).get_json() == STALE


AWAY: dict[str, Callable[[Hostile], Behaviour]] = {
    "hangs": lambda server: server.hangs(),
    "hangs in the body": lambda server: server.hangs(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
    "drips headers": lambda server: server.drips(b"HTTP/1.1 200 OK\r\n", b"x"),
    "drips a body": lambda server: server.drips(b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    "10 GB": lambda _: streams(10**10),
    "500": lambda _: answers(500, b"{}"),
    "429": lambda _: answers(429, b"{}"),
    "401": lambda _: answers(401, b"{}"),
    "a redirect to itself": lambda server: answers(301, b"", f"Location: {server.url}/latest"),
    "garbage": lambda _: sends(b"\x00\xff\r\n\r\n"),
    "nothing": lambda _: sends(b""),
    "HTML": lambda _: answers(200, b"<html>It works!</html>"),
    "an empty body": lambda _: answers(200, b""),
    "null": lambda _: answers_json(None),
    "a list": lambda _: answers_json([1.08]),
    "a number": lambda _: answers_json(1.08),
    "an object of nothing": lambda _: answers_json({}),
    "rates that are a list": lambda _: answers_json({"base": "EUR", "date": "2026-01-30", "rates": [1.08]}),
    "no rate": lambda _: tells(),
    "another rate": lambda _: tells(GBP=0.85),
    "another base": lambda _: answers_json({"base": "GBP", "date": "2026-01-30", "rates": {"USD": 1.3}}),
    "no base": lambda _: answers_json({"date": "2026-01-30", "rates": {"USD": 1.3}}),
    "no date": lambda _: answers_json({"base": "EUR", "rates": {"USD": 1.3}}),
    "a strange date": lambda _: answers_json({"base": "EUR", "date": "yesterday", "rates": {"USD": 1.3}}),
    "deep": lambda _: answers(200, b'{"rates":' + b"[" * 100_000),
}
NO_RATES = [
    *(b"-1.08", b"0", b"0.0", b"-0", b"NaN", b"Infinity", b"-Infinity", b"1e400", b"1e999999999999999999999"),
    *(b'"1.08"', b'""', b"true", b"null", b"[1.08]", b'{"rate": 1.08}', b"1e10", b"1e-10", b"1." + b"1" * 40),
    *(b"1" * 5000, b"01.08", b"1,08", b"0x1"),
]


@pytest.mark.parametrize("seconds", [source.TIMEOUT_SECONDS])
@pytest.mark.parametrize("away", AWAY.values(), ids=AWAY)
@pytest.mark.usefixtures("seconds")
def test_without_the_service_the_last_good_rate_is_served_as_stale_and_without_one_503(
    rates: CheckedClient, server: Hostile, later: Callable[[], None], away: Callable[[Hostile], Behaviour]
) -> None:
    good, server.behave = server.behave, away(server)
    begun = time.monotonic()
    assert unavailable(rates)
    assert time.monotonic() - begun < SOON
    server.behave = good
    assert rates.get(USD).get_json() == FRESH
    later()
    server.behave = away(server)
    assert rates.get(USD).get_json() == STALE
    server.behave = good
    assert rates.get(USD).get_json() == FRESH


@pytest.mark.parametrize("value", NO_RATES)
def test_a_rate_that_is_no_positive_number_is_no_rate(rates: CheckedClient, server: Hostile, value: bytes) -> None:
    server.behave = answers(200, b'{"base": "EUR", "date": "2026-01-30", "rates": {"USD": ' + value + b"}}")
    assert unavailable(rates)


@pytest.mark.parametrize(
    ("value", "rate"),
    [(b"1.10", "1.10"), (b"163", "163"), (b"1.2e3", "1200"), (b"1E-5", "0.00001"), (b"1.0812345678901234567", None)],
)
def test_a_rate_keeps_every_digit(rates: CheckedClient, server: Hostile, value: bytes, rate: str | None) -> None:
    server.behave = answers(200, b'{"base": "EUR", "date": "2026-01-30", "rates": {"USD": ' + value + b"}}")
    for _ in range(2):
        assert rates.get(USD).get_json()["rate"] == (rate or value.decode())


def test_nobody_at_the_address_is_503(app_with: AppWith) -> None:
    assert unavailable(new_client(app_with(RATES_URL=closed_port())))


def test_without_an_address_there_are_no_rates(app_with: AppWith, rates: CheckedClient) -> None:
    client = new_client(app_with())
    assert unavailable(client)
    assert "rates" not in client.get("/health/ready").get_json()["degraded"]
    rates.get(USD)
    assert client.get(USD).get_json() == FRESH


def test_a_service_that_has_failed_three_times_is_not_asked_for_a_while(rates: CheckedClient, server: Hostile) -> None:
    server.behave = answers(200, b"nonsense")
    for _ in range(10):
        assert unavailable(rates)
    assert len(server.requests) == 3


def test_readiness_names_the_rates_while_their_service_is_away(rates: CheckedClient, server: Hostile) -> None:
    def degraded() -> list[str]:
        ready = rates.get("/health/ready")
        assert ready.status_code == 200
        return [name for name in ready.get_json()["degraded"] if name == "rates"]

    assert degraded() == []
    server.behave = answers(200, b"nonsense")
    rates.get(USD)
    assert degraded() == ["rates"]
    server.behave = tells(USD=1.08)
    rates.get(USD)
    assert degraded() == []


def test_while_the_service_is_waited_for_no_connection_is_held(rated: Flask, server: Hostile) -> None:
    held: list[int] = []

    def behave(connection: Any) -> None:
        with rated.app_context():
            held.extend(engine.pool.checkedout() for engine in db.engines.values())  # type: ignore[attr-defined]
        tells(USD=1.08)(connection)

    server.behave = behave
    assert new_client(rated).get(USD).get_json() == FRESH
    with rated.app_context():
        assert len(held) == len(db.engines) == 2
        assert READS in db.engines
    assert held == [0, 0]


def test_two_wait_for_the_service_and_all_others_are_answered_at_once(rated: Flask, server: Hostile) -> None:
    waiting, released = Semaphore(0), Event()

    def behave(connection: Any) -> None:
        waiting.release()
        released.wait(SOON)
        tells(USD=1.08, GBP=0.85)(connection)

    server.behave = behave
    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(new_client(rated).get, f"/api/v1/rates/{code}") for code in ("USD", "GBP")]
        assert waiting.acquire(timeout=SOON)
        assert waiting.acquire(timeout=SOON)
        for code in ("CHF", "JPY", "USD"):
            assert unavailable(new_client(rated), f"/api/v1/rates/{code}")
        assert new_client(rated).get("/api/v1/posts").status_code == 200
        assert len(server.requests) == 2
        released.set()
        assert [call.result().get_json()["rate"] for call in asking] == ["1.08", "0.85"]


def test_a_rate_that_cannot_be_kept_is_told_all_the_same(
    rates: CheckedClient, server: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_keep", lambda *_: db.session.execute(text("INSERT INTO nowhere VALUES (1)")))
    for _ in range(2):
        assert rates.get(USD).get_json() == FRESH
    assert len(server.requests) == 2


def test_rates_of_another_base_are_not_mixed_up(app_with: AppWith, rates: CheckedClient, server: Hostile) -> None:
    assert rates.get(USD).get_json() == FRESH
    server.behave = answers_json({"base": "GBP", "date": "2026-01-30", "rates": {"USD": 1.27}})
    british = new_client(app_with(RATES_URL=server.url, CURRENCY="GBP"))
    assert british.get(USD).get_json() == {**FRESH, "rate": "1.27"}
    assert rates.get(USD).get_json() == FRESH


def test_a_fresh_rate_costs_one_statement(rates: CheckedClient, client: CheckedClient, count_queries: Counter) -> None:
    rates.get(USD)
    with count_queries() as statements:
        assert client.get(USD).get_json() == FRESH
    assert len(statements) == 1


def test_all_rates_that_were_asked_for_are_refreshed(rated: Flask, rates: CheckedClient, server: Hostile) -> None:
    everything = tells(USD=1.08, GBP=0.85, CHF=0.95)
    server.behave = everything
    for code in ("USD", "GBP", "CHF"):
        rates.get(f"/api/v1/rates/{code}")
    server.behave = in_turn(tells(USD=2), tells(GBP=3), answers(404, b"{}"))
    with rated.app_context():
        assert service.refresh_rates() == 2
    told = [rates.get(f"/api/v1/rates/{code}").get_json()["rate"] for code in ("USD", "GBP", "CHF")]
    assert told == ["2", "3", "0.95"]
    assert len(server.requests) == 6


def test_refreshing_ends_with_the_first_rate_that_does_not_come(
    rated: Flask, rates: CheckedClient, server: Hostile
) -> None:
    server.behave = tells(USD=1.08, GBP=0.85)
    rates.get(USD)
    rates.get("/api/v1/rates/GBP")
    server.behave = answers(200, b"nonsense")
    with rated.app_context():
        assert service.refresh_rates() == 0
    assert len(server.requests) == 3
    assert rates.get(USD).get_json() == FRESH
