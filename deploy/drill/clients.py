"""The load: members who read and write without end, and repeat what was answered 503 with the same key."""

import random
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import requests

PASSWORD = secrets.token_urlsafe(16)
PAUSE = 0.03  # seconds between two requests of a client
PATIENCE = 60  # seconds that a client waits for an answer; longer than Nginx does
ROWS = 20  # of an imported file
FILE = b"A file of the drill. " * 200
ERROR = {"error", "message", "code", "request_id"}
IN_PROGRESS = "idempotency_in_progress"
# What a client does, and how often.
WORK = {"read": 80, "transfer": 60, "post": 30, "upload": 16, "report": 1, "import": 1}


@dataclass(frozen=True)
class Attempt:
    """A request that was sent; times in seconds of the monotonic clock. ``problem`` is None for what went well.

    "503" is a refusal in the shape of errors with ``Retry-After``; any other problem is one that must not be.
    """

    begun: float
    ended: float
    what: str
    problem: str | None


@dataclass
class Write:
    """Something that a client wants to be done once: ``marker`` is its key and in it, ``made`` the id in the answer."""

    what: str
    marker: str
    made: int | None = None


def problem_of(answer: requests.Response) -> str | None:
    """Tell what is wrong with an answer: None, "503" if it is one as it should be, or more words."""
    if answer.ok:
        return None
    try:
        body = answer.json()
    except ValueError:
        return f"{answer.status_code} without JSON"
    if set(body) != ERROR:
        return f"{answer.status_code} in another shape"
    if answer.status_code == 503 and "Retry-After" in answer.headers:
        return "503"
    return f"{answer.status_code} {body['code']}"


class Client(threading.Thread):
    """A signed-in member at work. ``attempts`` and ``writes`` are what it remembers."""

    _numbers = count(1)

    def __init__(self, url: str, over: threading.Event, too_late: threading.Event) -> None:
        self.number = next(self._numbers)
        super().__init__(name=f"client-{self.number}", daemon=True)
        self._url, self._over, self._too_late = url, over, too_late
        self._random = random.Random(self.number)
        self._session = requests.Session()
        self._session.trust_env = False
        self._writes = count(1)
        self.attempts: list[Attempt] = []
        self.writes: list[Write] = []
        self.others: list[int] = []
        self.user_id = self._sign_up()

    def _sign_up(self) -> int:
        credentials = {"email": f"drill{self.number}@example.com", "password": PASSWORD}
        made = self._session.post(f"{self._url}/api/v1/users", json={**credentials, "name": "Drill"}, timeout=PATIENCE)
        made.raise_for_status()
        self.sign_in(credentials)
        return int(made.json()["id"])

    def sign_in(self, credentials: Mapping[str, str]) -> None:
        """Sign in as somebody."""
        answer = self._session.post(f"{self._url}/auth/login", json=credentials, timeout=PATIENCE)
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def run(self) -> None:
        """Work until it is over."""
        while not self._over.wait(PAUSE):
            (what,) = self._random.choices(list(WORK), list(WORK.values()))
            getattr(self, f"_{what}")()

    def _read(self) -> None:
        path = self._random.choice(("posts", "wallet", "wallet/entries", "files", "jobs", "posts?cursor="))
        self._ask("read", "GET", f"/api/v1/{path}")

    def _transfer(self) -> None:
        marker = self._marker("transfer")
        to = self._random.choice(self.others)
        self._write("transfer", "transfers", marker, json={"receiver_id": to, "amount": 1, "memo": marker})

    def _post(self) -> None:
        marker = self._marker("post")
        self._write("post", "posts", marker, json={"title": marker, "content": "Under load"})

    def _upload(self) -> None:
        marker = self._marker("upload")
        self._write("upload", "files", marker, files={"file": (f"{marker}.txt", FILE)})

    def _report(self) -> None:
        self._write("report", "reports", self._marker("report"), json={"kind": "statement", "format": "csv"})

    def _import(self) -> None:
        marker = self._marker("import")
        rows = "".join(f"{marker}-{row},{row}\r\n" for row in range(ROWS))
        upload = self._marker("upload")
        file = {"file": (f"{upload}.csv", f"name,price\r\n{rows}".encode())}
        file_id = self._write("upload", "files", upload, files=file)
        if file_id is not None:
            asked = {"kind": "products", "file_id": file_id, "mode": "partial"}
            self._write("import", "imports", marker, json=asked)

    def _marker(self, what: str) -> str:
        return f"drill-{what}-{self.number}-{next(self._writes)}"

    def _write(self, what: str, resource: str, marker: str, **sent: Any) -> int | None:
        """Send a POST until it is acknowledged, and return the id of what was made; None if it never was."""
        write = Write(what, marker)
        self.writes.append(write)
        while not self._too_late.is_set():
            key = {"Idempotency-Key": marker}
            answer = self._ask(what, "POST", f"/api/v1/{resource}", headers=key, **sent)
            if answer is not None and answer.ok:
                write.made = int(answer.json()["id"])
                break
            if answer is not None and answer.status_code != 503 and IN_PROGRESS not in answer.text:
                break
        return write.made

    def _ask(self, what: str, method: str, path: str, **sent: Any) -> requests.Response | None:
        begun = time.monotonic()
        try:
            answer = self._session.request(method, self._url + path, timeout=PATIENCE, **sent)
        except requests.RequestException as error:
            self.attempts.append(Attempt(begun, time.monotonic(), what, f"no answer ({type(error).__name__})"))
            self._too_late.wait(1)
            return None
        self.attempts.append(Attempt(begun, time.monotonic(), what, problem_of(answer)))
        if not answer.ok:
            self._too_late.wait(float(answer.headers.get("Retry-After", 1)))
        return answer


class Load:
    """Clients at work while a ``with`` block lasts. Afterwards each write under way has a minute to be acknowledged."""

    def __init__(self, url: str, clients: int) -> None:
        self._over, self._too_late = threading.Event(), threading.Event()
        self.clients = [Client(url, self._over, self._too_late) for _ in range(clients)]
        for client in self.clients:
            client.others = [other.user_id for other in self.clients if other is not client]

    def __enter__(self) -> "Load":
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        end = time.monotonic() + PATIENCE
        for client in self.clients:
            client.join(max(0.0, end - time.monotonic()))
        self._too_late.set()
        for client in self.clients:
            client.join()

    def attempts(self) -> list[Attempt]:
        """Return all requests up to now."""
        return [attempt for client in self.clients for attempt in list(client.attempts)]

    def writes(self) -> list[Write]:
        """Return all that was to be written."""
        return [write for client in self.clients for write in client.writes]
