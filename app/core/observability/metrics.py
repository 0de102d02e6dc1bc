"""How often each route was asked for and how fast it was, and who uses the database: for all processes together.

The figures are in memory that the server's processes share, made before they fork: a row for each process, which it
alone writes, and which stays when the process is gone, to be gone on with by its successor. Sums over the rows are
right whichever process is asked. Why not prometheus_client's own mode for several processes:
docs/decisions/0010-metrics.md.
"""

import fcntl
import mmap
import os
import tempfile
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from itertools import accumulate
from threading import Lock
from typing import Any, NamedTuple
from weakref import WeakSet, finalize

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, event

from app.core.db.engines import READS

EXTENSION = "agora-metrics"
UNKNOWN = "unknown"  # the route of a path that is none of ours: one, whatever is tried
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OTHER = "other"  # the methods that are none of these
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds, each the most
STATUSES = tuple(int(status) for status in HTTPStatus)
ROWS = 64  # processes that may live at once; further ones are not counted
PID, OUT, SIZE = 0, 1, 3  # the cells of a process: its id, and for each pool the connections in use, and at most
POOLS = 2
HEAD = SIZE + POOLS
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
        self._blocks = {handler: HEAD + number * BLOCK for number, handler in enumerate(every)}
        self._pools = dict(pools)
        self._width = HEAD + len(every) * BLOCK
        self._cells = memoryview(mmap.mmap(-1, ROWS * self._width * 8)).cast("d")
        # A process holds its row by a lock on a byte of this file, which the system lets go of when the process ends.
        self._claims, path = tempfile.mkstemp(prefix="agora-")
        os.unlink(path)
        finalize(self, os.close, self._claims)
        self.forget()
        _tables.add(self)

    def forget(self) -> None:
        """Have no row: the process is new."""
        self._lock = Lock()
        self._row: memoryview[float] | None = None
        self._number = -1

    def count(self, route: str | None, method: str, *, status: int, seconds: float) -> None:
        """Count an answer of ``route`` (None: of a path that is none of ours), given after so many ``seconds``."""
        block = self._blocks.get((route or UNKNOWN, method)) or self._blocks[UNKNOWN, OTHER]
        row = self._row or self._claim()
        with self._lock:
            row[block] += seconds
            row[block + FIRST_BUCKET + bisect_left(BUCKETS, seconds)] += 1
            row[block + STATUS_AT.get(status, FIRST_STATUS)] += 1

    def watch(self, engine: Engine, *, pool: int) -> None:
        """Count the connections of ``engine`` that are in use; its pool is that with the number ``pool``."""

        def taken(_connection: Any, record: Any, _proxy: Any) -> None:
            record.record_info[EXTENSION] = True
            self._add(OUT + pool, 1)

        def returned(_connection: Any, record: Any) -> None:
            if record.record_info.pop(EXTENSION, None):  # One that failed its test on the way out was never counted.
                self._add(OUT + pool, -1)

        event.listen(engine, "checkout", taken)
        for end in ("checkin", "detach"):
            event.listen(engine, end, returned)

    def _add(self, cell: int, number: int) -> None:
        row = self._row or self._claim()
        with self._lock:
            row[cell] += number

    def _claim(self) -> "memoryview[float]":
        """Take the first row that no living process has; where all are taken, one that is not looked at."""
        with self._lock:
            if self._row is None:
                self._number = next((number for number in range(ROWS) if self._takes(number)), -1)
                row = self._at(self._number) if self._number >= 0 else memoryview(bytearray(self._width * 8)).cast("d")
                for cell, value in enumerate((os.getpid(), *[0] * POOLS, *self._pools.values())):
                    row[cell] = value
                self._row = row
            return self._row

    def _takes(self, number: int) -> bool:
        try:
            fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            return False
        return True

    def _at(self, number: int) -> "memoryview[float]":
        return self._cells[number * self._width : (number + 1) * self._width]

    def _lives(self, number: int) -> bool:
        if number == self._number:
            return True
        if not self._takes(number):
            return True
        fcntl.lockf(self._claims, fcntl.LOCK_UN, 1, number)
        return False

    def processes(self) -> Iterator[Process]:
        """Return the processes that live."""
        for number in range(ROWS):
            row = self._at(number)
            if row[PID] and self._lives(number):
                pools = {name: (row[OUT + pool], row[SIZE + pool]) for pool, name in enumerate(self._pools)}
                yield Process(number, int(row[PID]), pools)

    def handlers(self) -> Iterator[Handler]:
        """Return what each handler that was called has answered, in all processes since the server was started."""
        rows = [row for row in map(self._at, range(ROWS)) if row[PID]]
        for (route, method), block in self._blocks.items():
            cells = [sum(found) for found in zip(*(row[block : block + BLOCK] for row in rows), strict=True)]
            statuses = {status: cells[at] for status, at in STATUS_AT.items() if cells and cells[at]}
            if statuses:
                passed = accumulate(cells[FIRST_BUCKET:FIRST_STATUS])
                limits = [*map(str, BUCKETS), "+Inf"]
                yield Handler(route, method, cells[0], list(zip(limits, passed, strict=True)), statuses)


_tables: "WeakSet[Metrics]" = WeakSet()


def _forget_rows() -> None:
    """Let a forked process take a row of its own."""
    for table in _tables:
        table.forget()


os.register_at_fork(after_in_child=_forget_rows)


def init_app(app: Flask, db: SQLAlchemy) -> None:
    """Count the answers of the routes that ``app`` has, and the connections that it uses."""
    handlers = [(rule.rule, method) for rule in app.url_map.iter_rules() for method in sorted(rule.methods or ())]
    with app.app_context():
        engines = {"writes": db.engine, "reads": db.engines[READS]}
    metrics = Metrics(handlers, {name: engine.pool.size() for name, engine in engines.items()})  # type: ignore[attr-defined]
    for number, engine in enumerate(engines.values()):
        metrics.watch(engine, pool=number)
    app.extensions[EXTENSION] = metrics
