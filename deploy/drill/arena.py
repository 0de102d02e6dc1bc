"""Where attacks happen: a stack, a member who attacks, another who reads, and what both of them can do.

An attack is over when its function returns. Meanwhile the other member reads, and each program's memory is watched.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests

from deploy.drill.clients import PASSWORD, PATIENCE
from deploy.drill.mail_server import MailServer
from deploy.stack import Stack

AT_ONCE = 8  # clients of the attacker
WINDOW = 6.0  # seconds of most attacks
JOB_WITHIN = 60  # seconds
FINISHED = ("succeeded", "failed", "cancelled")
ATTACKER, READER = "attacker@example.com", "reader@example.com"


@dataclass
class Arena:
    """A stack with its mail server, the attacker and another member, both signed in.

    ``found`` is what an attack has to say, and is wrong.
    """

    stack: Stack
    mails: MailServer
    attacker: requests.Session
    attacker_id: int
    reader: requests.Session
    reader_id: int
    found: list[str] = field(default_factory=list)

    def send(self, method: str, path: str, **sent: Any) -> requests.Response:
        """Send a request of the attacker's."""
        return self.attacker.request(method, self.stack.url + path, timeout=PATIENCE, **sent)

    def flood(self, method: str, path: str, *, clients: int = AT_ONCE, **sent: Any) -> set[int]:
        """Send a request again and again from several clients at once, and return the statuses of the answers."""
        end = time.monotonic() + WINDOW
        statuses: set[int] = set()

        def send_on(_number: int) -> None:
            while time.monotonic() < end:
                with suppress(requests.RequestException):
                    statuses.add(self.send(method, path, **sent).status_code)

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(send_on, range(clients)))
        return statuses

    def expect(self, what: str, status: int, *statuses: int) -> None:
        """Note a status that is none of those that may be."""
        if status not in statuses:
            self.found.append(f"{what}: {status}")

    def upload(self, name: str, content: bytes) -> int:
        """Store a file, and return its id."""
        answer = self.send("POST", "/api/v1/files", files={"file": (name, content)})
        answer.raise_for_status()
        return int(answer.json()["id"])

    def expect_report(self, what: str, *, within: float) -> None:
        """Have the other member ask for a report, and note one that takes longer than ``within`` seconds."""
        begun = time.monotonic()
        asked = {"kind": "statement", "format": "csv"}
        answer = self.reader.post(f"{self.stack.url}/api/v1/reports", json=asked, timeout=PATIENCE)
        job = self.finished_job(answer, owner=self.reader)
        seconds = time.monotonic() - begun
        if job["status"] != "succeeded":
            self.found.append(f"{what}: {job['status']}, {job['error']}")
        elif seconds > within:
            self.found.append(f"{what}: after {seconds:.1f} s")

    def finished_job(self, answer: requests.Response, *, owner: requests.Session | None = None) -> dict[str, Any]:
        """Wait for a job that was asked for, by the attacker unless an ``owner`` is named, and return it."""
        answer.raise_for_status()
        job: dict[str, Any] = answer.json()
        end = time.monotonic() + JOB_WITHIN
        while job["status"] not in FINISHED and time.monotonic() < end:
            time.sleep(0.5)
            url = f"{self.stack.url}/api/v1/jobs/{job['id']}"
            job = (owner or self.attacker).get(url, timeout=PATIENCE).json()
        return job


@dataclass(frozen=True)
class Attack:
    """An attack: its name, what a table calls it, and what it does. ``missing`` tells why it cannot happen here."""

    name: str
    title: str
    happens: Callable[[Arena], None]
    missing: Callable[[], str | None] = lambda: None


def member_in(stack: Stack, email: str) -> tuple[requests.Session, int]:
    """Sign up and sign in a member at ``stack``; return the session and the id."""
    session = requests.Session()
    session.trust_env = False
    credentials = {"email": email, "password": PASSWORD}
    made = session.post(f"{stack.url}/api/v1/users", json={**credentials, "name": "Drill"}, timeout=PATIENCE)
    made.raise_for_status()
    answer = session.post(f"{stack.url}/auth/login", json=credentials, timeout=PATIENCE)
    answer.raise_for_status()
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return session, int(made.json()["id"])
