"""What Prometheus reads: for whom, and that the figures are right."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, text

from app import create_app
from app.core import clock
from app.core.background.outbox import StoredEvent
from app.core.db.base import table_of
from app.core.observability.metrics import Metrics
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.health import metrics
from app.jobs.models import Job
from app.jobs.service import SCHEDULER, WORKER, report_alive
from tests.client import CheckedClient
from tests.conftest import NO_BROKER, AsUser, ask_for_job, dispose, new_client

Figures = dict[tuple[Any, ...], float]
TOKEN = "a-token-for-prometheus"


def read(client: CheckedClient, **kwargs: Any) -> Figures:
    """Read the figures by their names and the values of their labels, these in the order of the labels' names."""
    answer = client.get("/metrics", **kwargs)
    assert answer.status_code == 200, answer.text
    return figures(answer.text)


def figures(exposition: str) -> Figures:
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


@pytest.fixture
def scraped(app: Flask) -> CheckedClient:
    """A service that has a token for Prometheus, behind a proxy."""
    scraped_app = create_app(
        "testing", {"DATABASE_URL": app.config["DATABASE_URL"], "METRICS_TOKEN": TOKEN, "TRUSTED_PROXIES": 1}
    )
    scraped_app.test_client_class = CheckedClient
    dispose(scraped_app)
    return new_client(scraped_app)


def test_requests_are_counted_by_route_method_and_status(client: CheckedClient) -> None:
    before = read(client)
    for _ in range(3):
        client.get("/api/v1/posts/7")
        client.get("/health")
    after = read(client)

    def more(*key: str) -> float:
        return after[key] - before.get(key, 0)

    assert more("agora_http_requests_total", "GET", "/api/v1/posts/<id:post_id>", "404") == 3
    assert more("agora_http_requests_total", "GET", "/health", "200") == 3
    assert more("agora_http_request_seconds_count", "GET", "/health") == 3
    assert more("agora_http_request_seconds_bucket", "+Inf", "GET", "/health") == 3
    assert 0 < more("agora_http_request_seconds_sum", "GET", "/health") < 10


def test_paths_and_methods_that_nobody_has_made_are_one_figure(client: CheckedClient) -> None:
    read(client)
    for number in range(5):
        client.get(f"/nowhere/{number}")
        client.open(f"/health/{number}", method=f"BREW{number}")
    after = read(client)
    assert after["agora_http_requests_total", "GET", "unknown", "404"] >= 5
    assert after["agora_http_requests_total", "other", "unknown", "404"] >= 5
    assert not any("BREW" in str(key) or "nowhere" in str(key) for key in after)


def test_a_slow_answer_is_in_the_buckets_that_it_fits() -> None:
    counted = Metrics([("/slow", "GET")], {})
    for seconds in (0.001, 0.2, 60):
        counted.count("/slow", "GET", status=200, seconds=seconds)
    (handler,) = counted.handlers()
    buckets = dict(handler.buckets)
    assert [buckets[limit] for limit in ("0.001", "0.1", "0.25", "10.0", "+Inf")] == [1, 1, 2, 2, 3]
    assert handler.seconds == pytest.approx(60.201)


def test_jobs_are_counted_by_kind_and_state(client: CheckedClient, as_user: AsUser) -> None:
    member = as_user()
    old, new = clock.now() - timedelta(hours=1), clock.now()
    with client.application.app_context():
        ended = {"kind": "email", "status": "failed", "params": {}, "finished_at": new}
        rows = [{**ended, "due_at": due} for due in (old, new, new)]
        unit_of_work(lambda: db.session.execute(insert(table_of(Job)), rows))
    ask_for_job(member, "purge")
    ask_for_job(member, "purge")
    found = read(client)
    assert found["agora_jobs", "purge", "queued"] == 2
    assert found["agora_jobs", "purge", "running"] == 0
    assert found["agora_jobs_ended", "email", "failed"] == 2


def test_a_long_queue_is_counted_up_to_a_limit(
    client: CheckedClient, as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = as_user()
    monkeypatch.setattr(metrics, "MAX_COUNTED", 3)
    for _ in range(5):
        ask_for_job(member)
    assert read(client)["agora_jobs", "purge", "queued"] == 3


def test_what_waits_and_when_worker_and_scheduler_were_seen_is_told(client: CheckedClient, as_user: AsUser) -> None:
    found = read(client)
    assert (found["agora_job_oldest_due_seconds",], found["agora_event_oldest_seconds",]) == (0, 0)
    assert ("agora_worker_seen_timestamp_seconds",) not in found
    past = clock.now() - timedelta(minutes=5)
    ask_for_job(as_user())
    with client.application.app_context():

        def work() -> None:
            for name in (WORKER, SCHEDULER):
                report_alive(name)
            db.session.execute(table_of(Job).update().values(due_at=past))
            event = {"name": "nobody.listens", "payload": {}, "created_at": past}
            db.session.execute(insert(table_of(StoredEvent)), [event, {**event, "created_at": clock.now()}])

        unit_of_work(work)
    found = read(client)
    assert found["agora_job_oldest_due_seconds",] == pytest.approx(300, abs=30)
    assert found["agora_event_oldest_seconds",] == pytest.approx(300, abs=30)
    for name in (WORKER, SCHEDULER):
        assert found[f"agora_{name}_seen_timestamp_seconds",] == pytest.approx(clock.now().timestamp(), abs=30)


def test_connections_in_use_are_counted_until_they_are_given_back(app: Flask, client: CheckedClient) -> None:
    with app.app_context():
        assert read(client)["agora_pool_in_use", "writes"] == 0
        with db.engine.connect(), db.engine.connect() as second:
            second.execute(text("SELECT 1"))
            second.invalidate()
            found = read(client)
            assert found["agora_pool_in_use", "writes"] in (1, 2)  # A broken one counts until it is given back.
            assert found["agora_pool_size", "writes"] == db.engine.pool.size()  # type: ignore[attr-defined]
        assert read(client)["agora_pool_in_use", "writes"] == 0


def test_without_the_database_the_rest_is_told() -> None:
    away = create_app(
        "testing", {"DATABASE_URL": "postgresql://agora@127.0.0.1:1/agora", "BROKER_URL": NO_BROKER, "LOCK_TIMEOUT": 1}
    )
    away.test_client_class = CheckedClient
    client = new_client(away)
    client.get("/health")
    found = read(client)
    assert found["agora_database_up",] == 0
    assert found["agora_http_requests_total", "GET", "/health", "200"] == 1
    assert ("agora_job_oldest_due_seconds",) not in found


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1"])
def test_without_a_token_only_this_machine_is_answered(client: CheckedClient, peer: str) -> None:
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": peer}).status_code == 200


@pytest.mark.parametrize("peer", ["10.0.0.1", "2001:db8::1", "", "::ffff:10.0.0.1"])
def test_without_a_token_no_other_machine_is(client: CheckedClient, peer: str) -> None:
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": peer}).status_code == 404


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Proto"])
def test_without_a_token_what_came_by_a_proxy_is_not(client: CheckedClient, name: str) -> None:
    assert client.get("/metrics", headers={name: "127.0.0.1"}).status_code == 404


def test_a_token_opens_it_from_everywhere_and_is_the_only_way(scraped: CheckedClient) -> None:
    far = {"environ_base": {"REMOTE_ADDR": "10.0.0.1"}}
    right = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "127.0.0.1"}
    assert read(scraped, headers=right, **far)["agora_database_up",] == 1
    assert scraped.get("/metrics").status_code == 404
    for wrong in (f"Bearer {TOKEN}x", "Bearer", f"Basic {TOKEN}", "Bearer \xe9\xff"):
        assert scraped.get("/metrics", headers={"Authorization": wrong}, **far).status_code == 404


def test_more_processes_than_there_is_room_for_are_served_uncounted() -> None:
    counted = Metrics([("/", "GET")], {})
    counted._rows._lock_row = lambda number: number < 0  # type: ignore[method-assign]
    counted.count("/", "GET", status=200, seconds=0.1)
    assert list(counted.handlers()) == []
