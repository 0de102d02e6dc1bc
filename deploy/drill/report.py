"""What was seen in each fault, as a table in Markdown, and the part of docs/faults.md between two markers."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.config import ROOT
from app.core import clock
from deploy.drill import siege
from deploy.drill.books import Finding
from deploy.drill.clients import Attempt
from deploy.drill.faults import Fault

PAGE = ROOT / "docs" / "faults.md"
BEGIN, END = "<!-- drill:begin -->", "<!-- drill:end -->"
RECOVERS_WITHIN = 5.0  # seconds
SETTLED = 2.0  # seconds between that and the next fault
HEAD = (
    "| fault | lasts | requests | 503 within | errors after 5 s | slowest | recovered after | verdict |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
)


@dataclass(frozen=True)
class Period:
    """A fault, when it began and was over, and when the next could begin; seconds of the monotonic clock."""

    fault: Fault
    begun: float
    over: float
    end: float

    def concerns(self, attempt: Attempt) -> bool:
        """Return whether a request is this fault's: it began in the period, or was under way when the fault came."""
        under_way = self.begun - SETTLED < attempt.begun < self.begun <= attempt.ended
        next_fault_s = attempt.begun > self.over + RECOVERS_WITHIN and attempt.ended >= self.end
        return (under_way or self.begun <= attempt.begun < self.end) and not next_fault_s


@dataclass(frozen=True)
class Row:
    """What was seen of one fault."""

    fault: Fault
    lasted: float
    requests: int
    inside: int
    after: int
    slowest: float
    recovered: float
    wrong: Counter[str]

    @property
    def verdict(self) -> str:
        """Say "well", or why not."""
        if self.wrong:
            return "; ".join(f"{number} x {problem}" for problem, number in self.wrong.items())
        if self.after:
            return "too late"
        return "errors where none may be" if self.fault.harmless and self.inside else "well"


def row_of(period: Period, attempts: Sequence[Attempt]) -> Row:
    """Sum up the requests of a period; an error counts when it is answered."""
    mine = [attempt for attempt in attempts if period.concerns(attempt)]
    errors = [attempt for attempt in mine if attempt.problem]
    after = [attempt for attempt in errors if attempt.ended > period.over + RECOVERS_WITHIN]
    return Row(
        period.fault,
        lasted=period.over - period.begun,
        requests=len(mine),
        inside=len(errors) - len(after),
        after=len(after),
        slowest=max((attempt.ended - attempt.begun for attempt in mine), default=0.0),
        recovered=max((attempt.ended - period.over for attempt in errors), default=0.0),
        wrong=Counter(attempt.problem for attempt in errors if attempt.problem and attempt.problem != "503"),
    )


def line(row: Row) -> str:
    """Return a row of the table."""
    lasted = f"{row.lasted:.0f} s" if row.lasted >= 0.5 else "at once"
    recovered = f"{row.recovered:.1f} s" if row.recovered >= 0.05 else "at once"
    cells = (row.fault.title, lasted, row.requests, row.inside, row.after, f"{row.slowest:.1f} s", recovered)
    return f"| {' | '.join(map(str, cells))} | {row.verdict} |\n"


def table(rows: Sequence[Row], missing: Sequence[tuple[Fault, str]]) -> str:
    """Return the whole table; ``missing`` are the faults that could not happen here, and why."""
    absent = "".join(f"| {fault.title} | | | | | | | not tried: {why} |\n" for fault, why in missing)
    return HEAD + "".join(map(line, rows)) + absent


def findings(found: Sequence[Finding]) -> str:
    """Return the invariants as a list."""
    return "".join(f"- {one.invariant}: {'yes' if one.holds else '**NO**'}. {one.found}\n" for one in found)


def publish(
    rows: Sequence[Row],
    missing: Sequence[tuple[Fault, str]],
    found: Sequence[Finding],
    outcomes: Sequence[siege.Outcome],
) -> None:
    """Put the tables and the invariants into docs/faults.md."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    if not rest:
        raise RuntimeError(f"{PAGE} has no {BEGIN}")
    when = f"Measured on {clock.now().date().isoformat()}, on {os.cpu_count()} cores that the clients shared.\n"
    inner = f"{when}\n{table(rows, missing)}\n{findings(found)}\n{siege.table(outcomes)}\n"
    PAGE.write_text(f"{before}{BEGIN}\n{inner}{END}{rest.partition(END)[2]}")
