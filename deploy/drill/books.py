"""What must be true at the end, whatever has happened: each invariant, and what was found."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, create_engine, text

from deploy.drill.clients import ROWS, Write
from deploy.drill.places import Ground

JOBS_WITHIN = 120  # seconds; a job whose worker was killed is taken up after its lease and a tick, 35 s
# What was made under which marker, with its id.
MADE = {
    "transfer": "SELECT text, transfer_id FROM memos WHERE text LIKE 'drill-transfer-%'",
    "post": "SELECT title, id FROM posts WHERE title LIKE 'drill-post-%'",
    "upload": "SELECT split_part(name, '.', 1), id FROM files WHERE name LIKE 'drill-upload-%'",
    "report": "SELECT k.key, j.id FROM jobs j LEFT JOIN idempotency_keys k "
    "ON (k.body::json->>'id')::int = j.id AND k.path = '/api/v1/reports' WHERE j.kind = 'report'",
    "import": "SELECT k.key, j.id FROM jobs j LEFT JOIN idempotency_keys k "
    "ON (k.body::json->>'id')::int = j.id AND k.path = '/api/v1/imports' WHERE j.kind = 'import'",
}
OPEN_JOBS = "SELECT count(*) FROM jobs WHERE finished_at IS NULL AND user_id IS NOT NULL"
ENDED_JOBS = (
    "SELECT status, coalesce(error_code, ''), count(*) FROM jobs WHERE user_id IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"
)
TOLD = "SELECT data->>'job_id', count(*) FROM notifications WHERE kind IN ('report_ready', 'import_done') GROUP BY 1"
IMPORTED = "SELECT name, count(*) FROM products WHERE name LIKE 'drill-import-%' GROUP BY 1"
STORED = "SELECT storage_key, size FROM files"


@dataclass(frozen=True)
class Finding:
    """An invariant, whether it holds, and in words what was found."""

    invariant: str
    holds: bool
    found: str


def check(ground: Ground, writes: Sequence[Write], *, issued: int) -> list[Finding]:
    """Wait for the jobs to end, and look at everything. ``issued``: credits that were given out, in minor units."""
    engine = create_engine(ground.database_url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as database:
            waiting = _wait_for_jobs(database)
            return [
                _money(ground, database, issued),
                *_acknowledged(database, writes),
                _files(ground, database),
                _jobs(database, waiting),
                _imports(database, writes),
            ]
    finally:
        engine.dispose()


def _rows(database: Connection, query: str) -> list[Any]:
    return list(database.execute(text(query)))


def _wait_for_jobs(database: Connection) -> int:
    end = time.monotonic() + JOBS_WITHIN
    while (waiting := int(_rows(database, OPEN_JOBS)[0][0])) and time.monotonic() < end:
        time.sleep(1)
    return waiting


def _money(ground: Ground, database: Connection, issued: int) -> Finding:
    held = int(_rows(database, "SELECT coalesce(sum(balance), 0) FROM accounts WHERE kind <> 'issuing'")[0][0])
    try:
        verdict = ground.run("flask", "--app", "wsgi", "ledger", "verify").strip().splitlines()[-1]
    except RuntimeError as error:
        return Finding("money is conserved", holds=False, found=str(error))
    return Finding("money is conserved", holds=held == issued, found=f"{verdict} Members hold {held} of {issued}.")


def _acknowledged(database: Connection, writes: Sequence[Write]) -> list[Finding]:
    """Compare what the clients remember with what there is: by marker, and by id."""
    missing, twice, others = [], [], []
    for what, query in MADE.items():
        rows = _rows(database, query)
        times = Counter(marker for marker, _ in rows)
        made = dict(tuple(row) for row in rows)
        mine = [write for write in writes if write.what == what]
        missing += [write.marker for write in mine if write.made is not None and made.get(write.marker) != write.made]
        twice += [marker for marker, number in times.items() if marker is not None and number > 1]
        others += [str(marker) for marker in times.keys() - {write.marker for write in mine}]
    known = sum(write.made is not None for write in writes)
    return [
        Finding("what was acknowledged is there", not missing, f"{known} writes, {_number(missing)} missing"),
        Finding(
            "nothing is there twice",
            not twice and not others,
            f"{len(writes) - known} never acknowledged; {_number(twice)} twice, {_number(others)} of nobody",
        ),
    ]


def _number(markers: Sequence[str]) -> str:
    """Return how many there are, with some of them to look for in the logs."""
    return f"{len(markers)} ({', '.join(markers[:3])}, ...)" if markers else "0"


def _files(ground: Ground, database: Connection) -> Finding:
    rows = _rows(database, STORED)
    wrong = [key for key, size in rows if not _is_whole(ground, key, size)]
    return Finding("every file has its bytes", not wrong, f"{len(rows)} files, {len(wrong)} not whole")


def _is_whole(ground: Ground, key: str, size: int) -> bool:
    path = ground.files / key
    return path.is_file() and path.stat().st_size == size


def _jobs(database: Connection, waiting: int) -> Finding:
    ended = _rows(database, ENDED_JOBS)
    told = _rows(database, TOLD)
    unexplained = any(status == "failed" and not code for status, code, _ in ended)
    often = [job for job, number in told if number > 1]
    silent = sum(number for *_, number in ended) - waiting - len(told)
    words = ", ".join(f"{number} {status} {code}".strip() for status, code, number in ended)
    return Finding(
        "every job has ended, and was told of, once",
        not (waiting or unexplained or often or silent),
        f"{words}; {waiting} not ended, {len(often)} told of twice, {silent} not told of",
    )


def _imports(database: Connection, writes: Sequence[Write]) -> Finding:
    rows = dict(tuple(row) for row in _rows(database, IMPORTED))
    twice = [name for name, number in rows.items() if number > 1]
    done = [write for write in writes if write.what == "import" and write.made is not None]
    partly = [w.marker for w in done if sum(f"{w.marker}-{row}" in rows for row in range(ROWS)) != ROWS]
    found = f"{len(done)} imports, {len(rows)} products, {len(twice)} of them twice, {len(partly)} imports not whole"
    return Finding("every import has made its rows once", not twice and not partly, found)
