"""The attacks one after the other, on a stack with each database, and what they have cost another member."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from deploy.drill import contention, hostile
from deploy.drill.arena import ATTACKER, READER, Arena, Attack, member_in
from deploy.drill.clients import PASSWORD, PATIENCE
from deploy.drill.faults import family
from deploy.drill.mail_server import MailServer
from deploy.stack import Stack

ATTACKS = (*hostile.ATTACKS, *contention.ATTACKS)

READ_WITHIN = 1.0  # seconds that another member's read may take, and the question whether the service is alive
# Bytes that docker-compose.yml gives to the containers.
MEMORY = {"web": 768 << 20, "worker": 1024 << 20, "mailer": 384 << 20}
PAUSE = 0.1  # seconds between two reads of each
READ = ("/api/v1/posts?count=none", "/health")
SETTLES = 2.0  # seconds from one attack to the next
CREDITS = 100_000  # minor units, of the attacker
HEAD = (
    "| attack | database | slowest read of another | refused | memory of web | of worker | of mailer | verdict |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
)


@dataclass(frozen=True)
class Outcome:
    """What an attack has cost: seconds, reads that failed, and the most bytes of each kind of program.

    ``missing`` says why it could not happen here.
    """

    attack: Attack
    database: str
    slowest: float
    failed: int
    memory: dict[str, int]
    found: tuple[str, ...]
    missing: str | None = None

    @property
    def verdict(self) -> str:
        """Say "well", or why not."""
        if self.missing:
            return f"not tried: {self.missing}"
        wrong = list(self.found)
        if self.slowest > READ_WITHIN:
            wrong.append("reads wait")
        if self.failed:
            wrong.append("reads fail")
        wrong += [f"memory of {name}" for name, most in MEMORY.items() if self.memory[name] > most]
        return "; ".join(wrong) or "well"


class Watch(threading.Thread):
    """Another member, who reads a list and ``/health`` while a ``with`` block lasts; and the memory of the programs."""

    def __init__(self, stack: Stack, reader: requests.Session) -> None:
        super().__init__(name="watch", daemon=True)
        self._stack, self._reader = stack, reader
        self._over = threading.Event()
        self.slowest, self.failed = 0.0, 0
        self.memory = dict.fromkeys(MEMORY, 0)

    def run(self) -> None:
        """Read and weigh until it is over."""
        while not self._over.wait(PAUSE):
            for path in READ:
                self._read(path)
            for kind, known in self.memory.items():
                programs = [process for name, process in self._stack.processes.items() if name.startswith(kind)]
                self.memory[kind] = max(known, *(memory(process.pid) for process in programs))

    def _read(self, path: str) -> None:
        begun = time.monotonic()
        try:
            answer = self._reader.get(self._stack.url + path, timeout=PATIENCE)
            self.failed += answer.status_code != 200
        except requests.RequestException:
            self.failed += 1
        self.slowest = max(self.slowest, time.monotonic() - begun)

    def __enter__(self) -> "Watch":
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self.join()


def memory(pid: int) -> int:
    """Return the bytes of a program with all that descend from it; what they share counts once."""
    return sum(_proportional(member) for member in family(pid))


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def besiege(attacks: Sequence[Attack]) -> list[Outcome]:
    """Let all attacks happen on SQLite and on PostgreSQL."""
    outcomes = []
    for database in ("sqlite", "postgresql") if attacks else ():
        print(f"==> Starting a stack on {database}", flush=True)
        stack = Stack(webs=2 if database == "postgresql" else 1, database=database)
        with MailServer() as mails:
            stack.environment |= {"SMTP_URL": mails.url, "MAIL_FROM": "agora@example.com"}
            with stack:
                arena = _arena(stack, mails)
                for number, attack in enumerate(attacks, 1):
                    print(f"==> {number}/{len(attacks)} {attack.title}", flush=True)
                    outcomes.append(_outcome(arena, attack, database))
                    print(f"    {line(outcomes[-1])}", end="", flush=True)
    return outcomes


def _arena(stack: Stack, mails: MailServer) -> Arena:
    reader, reader_id = member_in(stack, READER)
    attacker, attacker_id = member_in(stack, ATTACKER)
    arguments = ("create-user", "treasurer@example.com", "--name", "Treasurer", "--role", "treasurer")
    stack.run("flask", "--app", "wsgi", *arguments, "--password", PASSWORD)
    credentials = {"email": "treasurer@example.com", "password": PASSWORD}
    signed_in = requests.post(f"{stack.url}/auth/login", json=credentials, timeout=PATIENCE)
    headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    gift = {"user_id": attacker_id, "amount": CREDITS}
    requests.post(f"{stack.url}/api/v1/deposits", json=gift, headers=headers, timeout=PATIENCE).raise_for_status()
    return Arena(stack, mails, attacker, attacker_id, reader, reader_id)


def _outcome(arena: Arena, attack: Attack, database: str) -> Outcome:
    if missing := attack.missing():
        return Outcome(attack, database, 0.0, 0, dict.fromkeys(MEMORY, 0), (), missing)
    arena.found.clear()
    with Watch(arena.stack, arena.reader) as watch:
        try:
            attack.happens(arena)
        except requests.RequestException as error:
            arena.found.append(f"{type(error).__name__}: {error}")
        time.sleep(SETTLES)
    return Outcome(attack, database, watch.slowest, watch.failed, dict(watch.memory), tuple(arena.found))


def line(outcome: Outcome) -> str:
    """Return a row of the table."""
    weights = [f"{outcome.memory[name] >> 20} MiB" for name in MEMORY]
    cells = (outcome.attack.title, outcome.database, f"{outcome.slowest:.2f} s", outcome.failed, *weights)
    return f"| {' | '.join(map(str, cells))} | {outcome.verdict} |\n"


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the whole table."""
    return HEAD + "".join(map(line, outcomes)) if outcomes else ""
