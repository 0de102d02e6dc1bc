"""The metrics that Prometheus scrapes: https://prometheus.io/docs/practices/naming/."""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any

from flask import current_app, request
from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy import func, select, union_all
from sqlalchemy.exc import SQLAlchemyError

from app.core import clock
from app.core.background.outbox import StoredEvent
from app.core.caller import bearer_token
from app.core.errors import NotFound, Unauthorized
from app.core.observability.metrics import EXTENSION, Metrics
from app.core.unit_of_work import execute
from app.jobs.kinds import EXTENSION as KINDS
from app.jobs.models import FINISHED, QUEUED, STATUS, Heartbeat, Job
from app.jobs.service import SCHEDULER, WORKER

log = logging.getLogger(__name__)

MAX_COUNTED = 10_000  # jobs of one state, at most: a scrape costs no more when the queue is long
ENDED_WITHIN = timedelta(minutes=10)
FORWARDED = ("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_REAL_IP")
TRUE_PEER = "werkzeug.proxy_fix.orig"  # where ProxyFix keeps what it has replaced


def demand_access() -> None:
    """Raise NotFound, unless the caller has METRICS_TOKEN or, where there is none, is a program of this machine."""
    token = current_app.config["METRICS_TOKEN"]
    if not (_has(token) if token else _is_local(request.environ)):
        raise NotFound


def _has(token: str) -> bool:
    try:
        return compare_digest((bearer_token() or "").encode(), token.encode())
    except Unauthorized:
        return False


def _is_local(environ: dict[str, Any]) -> bool:
    """Return whether this machine asks, and not for somebody else."""
    peer = environ.get(TRUE_PEER, environ).get("REMOTE_ADDR")
    if not peer or any(name in environ for name in FORWARDED):
        return False
    return ip_address(peer).is_loopback


class Exposition:
    """The collector of all metrics, for prometheus-client."""

    def collect(self) -> Iterator[Metric]:
        """Return the metric families. While the database is away, those read from it are left out."""
        counted: Metrics = current_app.extensions[EXTENSION]
        yield from _answers(counted)
        yield from _processes(counted)
        found: list[Metric] = []
        try:
            found = [*_last_signs(), *_jobs()]
        except SQLAlchemyError as error:
            log.warning("No figures of the database: %s", type(error).__name__)
        yield GaugeMetricFamily("agora_database_up", "Whether the database answers.", value=bool(found))
        yield from found


def _answers(counted: Metrics) -> Iterator[Metric]:
    by_status = CounterMetricFamily("agora_http_requests", "Answers.", labels=["route", "method", "status"])
    seconds = HistogramMetricFamily("agora_http_request_seconds", "Time to the head.", labels=["route", "method"])
    for handler in counted.handlers():
        for status, number in handler.statuses.items():
            by_status.add_metric([handler.route, handler.method, str(status)], number)
        seconds.add_metric([handler.route, handler.method], handler.buckets, handler.seconds)
    yield by_status
    yield seconds


def _processes(counted: Metrics) -> Iterator[Metric]:
    """Return what the web processes use, each by its number, which its successor takes over, and the sums of pools."""
    families: dict[str, Metric] = {}
    pools: dict[str, tuple[float, float]] = {}
    for number, pid, of_process in counted.processes():
        for family in ProcessCollector(pid=partial(int, pid), registry=None).collect():
            kept = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                kept.add_sample(sample.name, {"worker": str(number)}, sample.value)
        for name, (used, size) in of_process.items():
            before = pools.get(name, (0, 0))
            pools[name] = (before[0] + used, before[1] + size)
    yield from families.values()
    used_family = GaugeMetricFamily("agora_pool_in_use", "Connections in use.", labels=["engine"])
    size_family = GaugeMetricFamily("agora_pool_size", "Connections at most.", labels=["engine"])
    for name, (used, size) in pools.items():
        used_family.add_metric([name], used)
        size_family.add_metric([name], size)
    yield used_family
    yield size_family


def _jobs() -> list[Metric]:
    """Count jobs by kind and state, each state by its index and no further than MAX_COUNTED."""
    parts = []
    for status in STATUS:
        of_status = select(Job.kind, Job.status).where(Job.status == status)
        if status in FINISHED:
            of_status = of_status.where(Job.due_at > clock.now() - ENDED_WITHIN)
        parts.append(select(of_status.limit(MAX_COUNTED).subquery()))
    each = union_all(*parts).subquery()
    counts = execute(select(each.c.kind, each.c.status, func.count().label("number")).group_by(*each.c)).all()
    found = {(row.kind, row.status): row.number for row in counts}
    kinds = sorted({*current_app.extensions[KINDS], *(row.kind for row in counts)})
    open_jobs = GaugeMetricFamily("agora_jobs", "Jobs that wait or run.", labels=["kind", "status"])
    ended = GaugeMetricFamily("agora_jobs_ended", "Jobs due in the last 10 minutes, done.", labels=["kind", "status"])
    for kind in kinds:
        for status in STATUS:
            (ended if status in FINISHED else open_jobs).add_metric([kind, status], found.get((kind, status), 0))
    return [open_jobs, ended]


def _last_signs() -> list[Metric]:
    """Return how long the oldest due job and event wait, and when worker and scheduler were seen, by one statement."""
    due = select(func.min(Job.due_at)).where(Job.status == QUEUED, Job.due_at <= clock.at_once()).scalar_subquery()
    event = select(StoredEvent.created_at).order_by(StoredEvent.id).limit(1).scalar_subquery()
    seen = {
        name: select(Heartbeat.seen_at).where(Heartbeat.name == name).scalar_subquery() for name in (WORKER, SCHEDULER)
    }
    signs = (query.label(name) for name, query in seen.items())
    row = execute(select(due.label("due"), event.label("event"), *signs)).one()

    def waited(since: datetime | None) -> float:
        return (clock.now() - since).total_seconds() if since else 0.0

    families: list[Metric] = [
        GaugeMetricFamily(
            "agora_job_oldest_due_seconds", "How long a job is due.", value=waited(row.due and row.due + clock.SKEW)
        ),
        GaugeMetricFamily("agora_event_oldest_seconds", "How long an event is not delivered.", value=waited(row.event)),
    ]
    for name in seen:
        if moment := getattr(row, name):
            family = GaugeMetricFamily(
                f"agora_{name}_seen_timestamp_seconds", f"Last sign of a {name}.", value=moment.timestamp()
            )
            families.append(family)
    return families
