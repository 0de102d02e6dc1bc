"""The comparison: every workload of every contender, interleaved, so that what disturbs the machine disturbs all."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from bench.contenders import COMMANDS, Contender, Pgbench, Sample, started
from bench.database import Database, filled, server
from bench.fill import Size, tidy
from bench.work import SENDERS, WORKS, Requests, Work, sign_in

# The samples of each contender and workload, one for each round.
Samples: TypeAlias = dict[str, dict[str, list[Sample]]]


@dataclass(frozen=True)
class Plan:
    """What to measure, in how many rounds, and for how many seconds each time."""

    size: Size
    names: Sequence[str]
    works: Sequence[Work]
    rounds: int = 5
    seconds: float = 2.0
    connections: int = 8


def compare(plan: Plan) -> Samples:
    """Fill a database, start everybody, and measure. Agora is always there: it signs the tokens."""
    with server() as address, filled(address, plan.size) as database, _everybody(plan, database) as contenders:
        agora = contenders["agora"]
        assert isinstance(agora, Contender)
        print(f"==> Signing in {SENDERS} members")
        tokens = {member: sign_in(agora, member) for member in range(1, SENDERS + 1)}
        requests = Requests(tokens, plan.size.members)
        for contender in contenders.values():
            if isinstance(contender, Contender):
                print(f"==> Checking the answers of {contender.name}")
                requests.check(contender, agora)
        measured = [contender for name, contender in contenders.items() if name in plan.names]
        return _measure(plan, measured, requests)


@contextmanager
def _everybody(plan: Plan, database: Database) -> Iterator[dict[str, Contender | Pgbench]]:
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agora-bench-")))
        names = [name for name in COMMANDS if name == "agora" or name in plan.names]
        running: dict[str, Contender | Pgbench] = {}
        for name in names:
            print(f"==> Starting {name}")
            running[name] = stack.enter_context(started(name, database, logs))
        if "pgbench" in plan.names:
            running["pgbench"] = Pgbench(database)
        yield running


def _measure(plan: Plan, contenders: Sequence[Contender | Pgbench], requests: Requests) -> Samples:
    samples: Samples = {contender.name: {} for contender in contenders}
    sent: dict[tuple[str, str], list[str]] = {}
    for number in range(plan.rounds + 1):  # The first round only warms up.
        seconds = plan.seconds if number else min(plan.seconds, 0.5)
        for turn, work in enumerate(plan.works):
            tidy(contenders[0].database.dsn)
            first = (number + turn) % len(contenders)
            for contender in (*contenders[first:], *contenders[:first]):
                if not contender.takes(work) or not (work.shared or contender.name == "agora"):
                    continue
                if (contender.name, work.name) not in sent:
                    bytes_of = requests.of(work, contender) if isinstance(contender, Contender) else []
                    sent[contender.name, work.name] = bytes_of
                sample = contender.measure(work, sent[contender.name, work.name], seconds, plan.connections)
                if number:
                    samples[contender.name].setdefault(work.name, []).append(sample)
                    _tell(number, work, contender.name, sample)
    return samples


def _tell(number: int, work: Work, name: str, sample: Sample) -> None:
    seen = sample.seen
    wrong = seen.requests - seen.statuses.get(str(work.status), 0)
    print(
        f"round {number} {work.name:4} {name:9} {sample.rate(work):8.0f} per CPU second "
        f"{seen.requests / seen.seconds:8.0f} per second, p50 {seen.p50:7.1f} ms"
        + (f", {wrong} WRONG" if wrong else ""),
        flush=True,
    )


def chosen(names: str, works: str) -> tuple[list[str], list[Work]]:
    """Read the selections of the command line; empty means all."""
    everybody = [*COMMANDS, "pgbench"]
    wanted = names.split(",") if names else everybody
    unknown = set(wanted) - set(everybody)
    listed = works.split(",") if works else [work.name for work in WORKS]
    unknown |= set(listed) - {work.name for work in WORKS}
    if unknown:
        raise SystemExit(f"Unknown: {', '.join(sorted(unknown))}")
    return wanted, [work for work in WORKS if work.name in listed]
