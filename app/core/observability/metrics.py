"""How often each route was asked for and how fast it was, and who uses the database: for all processes together.

The figures are in rows that the server's processes share, so that sums over the rows are right whichever process is
asked, and outlive the processes. Why not prometheus_client's own mode for several processes:
docs/decisions/0010-metrics.md.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from itertools import accumulate
from typing import Any, NamedTuple

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, event

from app.core.db.engines import READS
from app.core.observability.shared_rows import SharedRows

EXTENSION = "agora-metrics"
UNKNOWN = "unknown"  # the route of a path that is none of ours: one, whatever is tried
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OTHER = "other"  # the methods that are none of these
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds, each the most
STATUSES = tuple(int(status) for status in HTTPStatus)
POOLS = 2
IN_USE, SIZE = 0, POOLS  # the first cells of a row: for each pool the connections in use, and at most
FIRST_HANDLER = SIZE + POOLS
# The cells of a handler: the seconds, the answers of each bucket (the last has no limit), those of each status.
FIRST_BUCKET = 1
FIRST_STATUS = FIRST_BUCKET + len(BUCKETS) + 1
BLOCK = FIRST_STATUS + len(STATUSES)
STATUS_AT = {status: FIRST_STATUS + number for number, status in enumerate(STATUSES)}


class Handler(NamedTuple):
    """What one method of one route has answered: how many with which status, in how many seconds.

    ``buckets`` are pairs of a limit and the number of the answers that took no longer, the last one being all.
    """

    route: str
    method: str
    seconds: float
    buckets: list[tuple[str, float]]
    statuses: dict[int, float]


class Process(NamedTuple):
    """A living process: its number among them, its id, and of each pool the connections in use and at most."""

    number: int
    pid: int
    pools: dict[str, tuple[float, float]]


class Metrics:
    """The figures of an app."""

    def __init__(self, handlers: Iterable[tuple[str, str]], pools: Mapping[str, int]) -> None:
        """Take the routes with their methods, and the sizes of the pools by their names."""
        every = [*handlers, *((UNKNOWN, method) for method in (*METHODS, OTHER))]
        self._blocks = {handler: FIRST_HANDLER + number * BLOCK for number, handler in enumerate(every)}
        self._pools = tuple(pools)
        sizes = [0.0] * POOLS
        sizes[: len(pools)] = pools.values()
        self._rows = SharedRows(FIRST_HANDLER + len(every) * BLOCK, beginning=[*[0.0] * POOLS, *sizes])

    def count(self, route: str | None, method: str, *, status: int, seconds: float) -> None:
        """Count an answer of ``route`` (None: of a path that is none of ours), given after so many ``seconds``."""
        block = self._blocks.get((route or UNKNOWN, method)) or self._blocks[UNKNOWN, OTHER]
        row = self._rows.own()
        with self._rows.lock:
            row[block] += seconds
            row[block + FIRST_BUCKET + bisect_left(BUCKETS, seconds)] += 1
            row[block + STATUS_AT.get(status, FIRST_STATUS)] += 1

    def watch(self, engine: Engine, *, pool: int) -> None:
        """Count the connections of ``engine`` that are in use; its pool is that with the number ``pool``."""

        def checked_out(_connection: Any, record: Any, _proxy: Any) -> None:
            record.record_info[EXTENSION] = True
            self._add(IN_USE + pool, 1)

        def checked_in(_connection: Any, record: Any) -> None:
            if record.record_info.pop(EXTENSION, None):  # One that failed its test on the way out was never counted.
                self._add(IN_USE + pool, -1)

        event.listen(engine, "checkout", checked_out)
        for end in ("checkin", "detach"):
            event.listen(engine, end, checked_in)

    def _add(self, cell: int, number: int) -> None:
        row = self._rows.own()
        with self._rows.lock:
            row[cell] += number

    def processes(self) -> Iterator[Process]:
        """Return the processes that live."""
        for number, pid, row in self._rows.living():
            pools = {name: (row[IN_USE + pool], row[SIZE + pool]) for pool, name in enumerate(self._pools)}
            yield Process(number, pid, pools)

    def handlers(self) -> Iterator[Handler]:
        """Return what each handler that was called has answered, in all processes since the server was started."""
        rows = list(self._rows.used())
        for (route, method), block in self._blocks.items():
            cells = [sum(found) for found in zip(*(row[block : block + BLOCK] for row in rows), strict=True)]
            statuses = {status: cells[at] for status, at in STATUS_AT.items() if cells and cells[at]}
            if statuses:
                passed = accumulate(cells[FIRST_BUCKET:FIRST_STATUS])
                limits = [*map(str, BUCKETS), "+Inf"]
                yield Handler(route, method, cells[0], list(zip(limits, passed, strict=True)), statuses)


def init_app(app: Flask, db: SQLAlchemy) -> None:
    """Count the answers of the routes that ``app`` has, and the connections that it uses."""
    handlers = [(rule.rule, method) for rule in app.url_map.iter_rules() for method in sorted(rule.methods or ())]
    with app.app_context():
        engines = {"writes": db.engine, "reads": db.engines[READS]}
    metrics = Metrics(handlers, {name: engine.pool.size() for name, engine in engines.items()})  # type: ignore[attr-defined]
    for number, engine in enumerate(engines.values()):
        metrics.watch(engine, pool=number)
    app.extensions[EXTENSION] = metrics
