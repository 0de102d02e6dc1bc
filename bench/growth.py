"""Growth: what ten times the rows cost, through HTTP. A ratio of 1 is what one wants."""

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from app import create_app
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.wallet import verification
from bench import report
from bench.contenders import Contender, started
from bench.database import Database, filled, server
from bench.fill import EVERYWHERE, SELDOM, Size
from bench.work import Work, cursors, request, sign_in

BUSY, CALM = 2, 3  # members who have sent 100,000 and 10,000 transfers
SMALL = Size(posts=200_000, transfers=50_000, busy=((BUSY, 100_000), (CALM, 10_000)))
LARGE = Size(posts=2_000_000, transfers=500_000, busy=((BUSY, 100_000), (CALM, 10_000)))
READ = Work("growth", "read", 200, "")


@dataclass(frozen=True)
class Place:
    """A server on a database of some size, and the tokens of members."""

    agora: Contender
    tokens: dict[int, str]

    def cost(self, path: str, member: int = 0) -> tuple[float, float]:
        """Return what a request costs: CPU milliseconds of server and database, and the median latency."""
        requests = [request("GET", path, token=self.tokens.get(member, ""))]
        sample = self.agora.measure(READ, requests, 1.0, 4)
        if set(sample.seen.statuses) != {"200"}:
            raise RuntimeError(f"{path}: {sample.seen.statuses}")
        return 1000 / sample.rate(READ), sample.seen.p50

    def deep(self, path: str, rows: int, member: int = 0) -> str:
        """Return the path of the page that begins after so many rows, found by walking there."""
        return f"{path}?cursor={quote(cursors(self.agora, path, rows // 100, token=self.tokens.get(member, ''))[-1])}"


def measure(*, quick: bool) -> None:
    """Measure both sizes in turn, and print the ratios."""
    rounds = 3 if quick else 7
    with server() as address, ExitStack() as stack:
        places = [_open(stack, address, size) for size in (SMALL, LARGE)]
        rows = [_posts(name, places, paths, rounds) for name, paths in _pages(places).items()]
        rows += _statement(places[0], rounds)
        rows.append(_ledger([place.agora.database for place in places]))
    heads = ("", "few: CPU ms", "many: CPU ms", "ratio of CPU (least to most)", "ratio of p50")
    result = {"machine": report.machine(), "small": vars(SMALL), "large": vars(LARGE), "rows": rows}
    report.save(result, "growth")
    print(report.table(heads, rows))


def _open(stack: ExitStack, address: str, size: Size) -> Place:
    database = stack.enter_context(filled(address, size))
    logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agora-bench-")))
    agora = stack.enter_context(started("agora", database, logs))
    return Place(agora, {member: sign_in(agora, member) for member in (BUSY, CALM)})


def _pages(places: list[Place]) -> dict[str, list[str]]:
    """Return the requests to both servers; a cursor is half-way down the table of each."""
    posts = "/api/v1/posts"
    alike = {
        "page 1, not counted": f"{posts}?count=none",
        "page 1, total remembered": posts,
        "q= a word of every tenth post": f"{posts}?count=none&q={EVERYWHERE}",
        "q= a word of 25 posts": f"{posts}?count=none&q={SELDOM}",
        "q= a word of 25 posts and a part of many words": f"{posts}?count=none&q={SELDOM}+mar",
    }
    print("==> Walking half-way down")
    deep = [place.deep(posts, size.posts // 2) for place, size in zip(places, (SMALL, LARGE), strict=True)]
    return {name: [path, path] for name, path in alike.items()} | {"cursor, half-way down": deep}


def _posts(name: str, places: list[Place], paths: list[str], rounds: int) -> list[str]:
    pairs = [[place.cost(path) for place, path in zip(places, paths, strict=True)] for _ in range(rounds + 1)]
    return _row(name, pairs[1:])


def _statement(place: Place, rounds: int) -> list[list[str]]:
    """Compare a statement of 100,000 entries with one of 10,000, in the same database."""
    path = "/api/v1/wallet/entries"
    print("==> Walking down the statements")
    deep = {member: place.deep(path, rows // 2, member) for member, rows in ((CALM, 10_000), (BUSY, 100_000))}
    rows = []
    for name, of in (("statement, page 1, not counted", dict.fromkeys(deep, f"{path}?count=none")),
                     ("statement, cursor half-way down", deep)):  # fmt: skip
        pairs = [[place.cost(of[member], member) for member in (CALM, BUSY)] for _ in range(rounds + 1)]
        rows.append(_row(name, pairs[1:]))
    return rows


def _row(name: str, pairs: list[Any]) -> list[str]:
    few, many = (median(pair[side][0] for pair in pairs) for side in (0, 1))
    cpu = [many[0] / few[0] for few, many in pairs]
    latency = median(many[1] / few[1] for few, many in pairs)
    row = [name, f"{few:.2f}", f"{many:.2f}", f"{median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f})", f"{latency:.2f}"]
    print(" | ".join(row), flush=True)
    return row


def _ledger(databases: list[Database]) -> list[str]:
    """Compare what the check of the whole ledger takes for each entry (wall-clock microseconds: it runs alone)."""
    costs = []
    for database in databases:
        overrides = {**database.environment, "STATEMENT_TIMEOUT": "600"}
        app = create_app("production", overrides)
        with app.app_context():
            took = [_add_up() for _ in range(4)][1:]
            for engine in db.engines.values():
                engine.dispose()
        costs.append(took)
    few, many = (median(took) for took in costs)
    ratios = [large / small for small, large in zip(*costs, strict=True)]
    spread = f"{many / few:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return ["ledger check, µs for each entry", f"{few:.2f}", f"{many:.2f}", spread, f"{many / few:.2f}"]


def _add_up() -> float:
    begin = time.perf_counter()
    verdict: dict[str, Any] = unit_of_work(verification.verify)
    if not verdict["balanced"]:
        raise RuntimeError(f"The ledger does not balance: {verdict}")
    return (time.perf_counter() - begin) * 1e6 / float(verdict["entries"])
