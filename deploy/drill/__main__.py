"""The command: ``python -m deploy.drill [--only redis,postmaster] [--publish]`` (``make drill``)."""

import argparse
import json
import sys
import time
import urllib.request
from collections.abc import Sequence

import requests

from deploy.drill import books, report, siege
from deploy.drill.arena import Attack
from deploy.drill.books import Finding
from deploy.drill.clients import PASSWORD, PATIENCE, Attempt, Load
from deploy.drill.faults import FAULTS, Fault
from deploy.drill.places import Ground
from deploy.drill.report import RECOVERS_WITHIN, SETTLED, Period, Row, row_of
from deploy.drill.siege import ATTACKS

CLIENTS = 8
WARM_UP = 3.0  # seconds
CALM = RECOVERS_WITHIN + SETTLED  # seconds from the end of a fault to the next
CREDITS = 1_000_000  # minor units, of each member
TREASURER = {"email": "treasurer@example.com", "password": PASSWORD}


def main() -> None:
    """Break one thing after the other, and end with status 1 if something was not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m deploy.drill", description=__doc__)
    names = ", ".join(each.name for each in (*FAULTS, *ATTACKS))
    parser.add_argument("--only", default="", help=f"faults and attacks, separated by commas, of: {names}")
    parser.add_argument("--publish", action="store_true", help="write the table into docs/faults.md")
    options = parser.parse_args()
    faults, attacks = _chosen(options.only)
    rows, missing, found = _faults(faults) if faults else ([], [], [])
    outcomes = siege.besiege(attacks)
    if options.publish:
        report.publish(rows, missing, found, outcomes)
    verdicts = [row.verdict for row in rows] + [outcome.verdict for outcome in outcomes if not outcome.missing]
    if any(verdict != "well" for verdict in verdicts) or not all(one.holds for one in found):
        sys.exit("The drill has found something wrong.")


def _faults(chosen: Sequence[Fault]) -> tuple[list[Row], list[tuple[Fault, str]], list[Finding]]:
    with Ground() as ground:
        missing = [(fault, why) for fault in chosen if (why := fault.missing(ground)) is not None]
        absent = {fault for fault, _ in missing}
        rows, found = drill(ground, [fault for fault in chosen if fault not in absent])
    print(f"\n{report.table(rows, missing)}\n{report.findings(found)}")
    return rows, missing, found


def _chosen(names: str) -> tuple[list[Fault], list[Attack]]:
    """Return the faults and the attacks that were asked for; without a name, all."""
    wanted = {name for name in names.split(",") if name}
    known = {each.name for each in (*FAULTS, *ATTACKS)}
    if wanted - known:
        sys.exit(f"Error: there is no {', '.join(sorted(wanted - known))}. There are: {', '.join(sorted(known))}")
    wanted = wanted or known
    return [fault for fault in FAULTS if fault.name in wanted], [attack for attack in ATTACKS if attack.name in wanted]


def drill(ground: Ground, faults: Sequence[Fault]) -> tuple[list[Row], list[Finding]]:
    """Let the faults happen under load, and look at what is left."""
    load = Load(ground.url, CLIENTS)
    issued = _give_out_credits(ground, [client.user_id for client in load.clients])
    periods = []
    begun = time.monotonic()
    with load:
        time.sleep(WARM_UP)
        for number, fault in enumerate(faults, 1):
            print(f"==> {number}/{len(faults)} {fault.title}", flush=True)
            periods.append(_period(ground, fault))
            print(f"    {report.line(row_of(periods[-1], load.attempts()))}", end="", flush=True)
    print("==> Waiting for the jobs to end, and checking", flush=True)
    attempts = load.attempts()
    found = [*books.check(ground, load.writes(), issued=issued), _errors(attempts, periods), _repaired(ground)]
    print(f"    {len(attempts)} requests in {time.monotonic() - begun:.0f} s", flush=True)
    return [row_of(period, attempts) for period in periods], found


def _period(ground: Ground, fault: Fault) -> Period:
    begun = time.monotonic()
    fault.happens(ground)
    over = time.monotonic()
    time.sleep(CALM)
    return Period(fault, begun, over, time.monotonic())


def _give_out_credits(ground: Ground, members: Sequence[int]) -> int:
    ground.run(
        "flask", "--app", "wsgi", "create-user", TREASURER["email"], "--name", "Treasurer", "--role", "treasurer",
        "--password", PASSWORD,
    )  # fmt: skip
    with requests.Session() as session:
        answer = session.post(f"{ground.url}/auth/login", json=TREASURER, timeout=PATIENCE)
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        for member in members:
            gift = {"user_id": member, "amount": CREDITS}
            session.post(f"{ground.url}/api/v1/deposits", json=gift, timeout=PATIENCE).raise_for_status()
    return CREDITS * len(members)


def _errors(attempts: Sequence[Attempt], periods: Sequence[Period]) -> Finding:
    """Errors are 503 in the one shape, and end with their fault."""
    errors = [attempt for attempt in attempts if attempt.problem]
    wrong = sum(attempt.problem != "503" for attempt in errors)
    outside = sum(
        not any(p.concerns(attempt) and attempt.ended <= p.over + RECOVERS_WITHIN for p in periods)
        for attempt in errors
    )
    found = f"{len(attempts)} requests, {len(errors)} errors, {wrong} of them not 503, {outside} outside"
    return Finding("errors are 503, and only within a fault and 5 s after it", not (wrong or outside), found)


def _repaired(ground: Ground) -> Finding:
    """Everything is there, without anybody's hand: what has ended was started by its keeper."""
    with urllib.request.urlopen(f"{ground.url}/health/ready", timeout=PATIENCE) as answer:
        checks = json.load(answer)["checks"]
    checks.pop("mail")  # There is no mail server.
    dead = [process.name for process in ground.processes.values() if not process.is_alive]
    starts = ", ".join(f"{process.name} {process.starts}" for process in ground.processes.values())
    return Finding(
        "all is at work again by itself", not dead and all(checks.values()), f"Starts: {starts}; ready: {checks}"
    )


if __name__ == "__main__":
    main()
