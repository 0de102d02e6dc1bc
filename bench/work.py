"""The work: what is asked of each contender, in the same bytes, and what a right answer is."""

import http.client
import json
import random
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from bench.client import HOST, KEY
from bench.fill import PASSWORD

SENDERS = 256  # members who are signed in
PAGES = 300  # of 100 posts, that the cursors of W2k lie between
DIFFERENT = 2_000  # requests that are sent in turn
USER = "id name created_at email role is_active notify_by_email email_verified updated_at"
POST = "id title content is_hidden user_id author created_at updated_at"
TRANSFER = "id kind sender_id receiver_id amount memo reverses created_at"


@dataclass(frozen=True)
class Work:
    """A workload: what it is called, the status of a right answer, and the fields that it must have.

    ``cycle``: seconds for which Agora remembers a part of the answer. It is measured for no less, so that a share of
    what it remembers is always in the figure; the peers remember nothing.
    """

    name: str
    title: str
    status: int
    fields: str
    shared: bool = True  # The peers do it, too.
    cycle: float = 0.0


WORKS = (
    Work("W0", "health", 200, "status"),
    Work("W1", "me", 200, USER),
    Work("W2", "list and total", 200, "posts page per_page total pages has_more", cycle=5.0),
    Work("W2k", "list by cursor", 200, "posts per_page has_more next_cursor"),
    Work("W3", "create a post", 201, POST),
    Work("W4", "transfer", 201, TRANSFER),
    Work("P200", "one post: 200", 200, POST, shared=False),
    Work("P304", "one post: 304", 304, "", shared=False),
)
BY_NAME = {work.name: work for work in WORKS}


class Served(Protocol):
    """What has a name and a port."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def port(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Answer:
    """An answer: its status, its JSON and its entity tag."""

    status: int
    body: Any
    etag: str


def request(method: str, path: str, *, token: str = "", body: Any = None, more: str = "") -> str:
    """Write a request. ``more``: header lines, each with its CR LF."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    content = "" if body is None else json.dumps(body)
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join(lines) + f"\r\n{more}\r\n{content}"


def ask(served: Served, method: str, path: str, *, token: str = "", body: Any = None) -> Answer:
    """Ask one thing, and return the answer."""
    connection = http.client.HTTPConnection(HOST, served.port, timeout=60)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return Answer(response.status, json.loads(content) if content else None, response.headers.get("ETag", ""))


def sign_in(agora: Served, member: int) -> str:
    """Return a member's access token. It is Agora's, and the peers read the same one."""
    credentials = {"email": f"member{member}@example.com", "password": PASSWORD}
    answer = ask(agora, "POST", "/auth/login", body=credentials)
    if answer.status != 200:
        raise RuntimeError(f"Member {member} cannot sign in: {answer}")
    return str(answer.body["access_token"])


def cursors(served: Served, path: str, pages: int, *, token: str = "") -> list[str]:
    """Walk a list for so many pages of 100 by a contender's own cursors, and return them."""
    found: list[str] = []
    cursor = ""
    for _ in range(pages):
        answer = ask(served, "GET", f"{path}?cursor={quote(cursor)}&per_page=100", token=token)
        if not (cursor := answer.body["next_cursor"] or ""):
            break
        found.append(cursor)
    return found


class Requests:
    """Makes the requests of every workload for a contender; the same for all but for the cursors."""

    def __init__(self, tokens: dict[int, str], members: int) -> None:
        self.tokens, self.members = tokens, members
        self.post = {"title": "Surplus tomatoes", "content": "Come by with a basket. " * 20}

    def of(self, work: Work, contender: Served) -> list[str]:
        """Return the requests of ``work``, in a random order that is the same every time."""
        chance = random.Random(work.name)
        tokens = self.tokens
        match work.name:
            case "W0":
                return [request("GET", "/health")]
            case "W1":
                return [request("GET", "/auth/me", token=token) for token in tokens.values()]
            case "W2":
                return [request("GET", "/api/v1/posts")]
            case "W2k":
                walked = cursors(contender, "/api/v1/posts", PAGES)
                return [request("GET", f"/api/v1/posts?cursor={quote(cursor)}") for cursor in walked]
            case "W3":
                return [request("POST", "/api/v1/posts", token=token, body=self.post) for token in tokens.values()]
            case "W4":
                return [self._transfer(chance) for _ in range(DIFFERENT)]
        posts = [chance.randint(1, 100_000) for _ in range(DIFFERENT if work.status == 200 else 100)]
        if work.status == 200:
            return [request("GET", f"/api/v1/posts/{post}") for post in posts]
        tags = {post: ask(contender, "GET", f"/api/v1/posts/{post}").etag for post in posts}
        return [request("GET", f"/api/v1/posts/{post}", more=f"If-None-Match: {tag}\r\n") for post, tag in tags.items()]

    def _transfer(self, chance: random.Random) -> str:
        sender = chance.choice(list(self.tokens))
        receiver = (sender + chance.randint(0, self.members - 2)) % self.members + 1  # anyone else
        body = {"receiver_id": receiver, "amount": chance.randint(1, 50), "memo": "Thank you!"}
        key = f"Idempotency-Key: {KEY.decode()}\r\n"
        return request("POST", "/api/v1/transfers", token=self.tokens[sender], body=body, more=key)

    def check(self, contender: Served, reference: Served) -> None:
        """See that a contender does the work, and refuses what it must. Raises RuntimeError for one that does not."""
        token = next(iter(self.tokens.values()))
        transfer = {"receiver_id": self.members, "amount": 1, "memo": ""}
        for method, path, body, fields in (
            ("GET", "/health", None, "status"),
            ("GET", "/auth/me", None, USER),
            ("GET", "/api/v1/posts?cursor=", None, BY_NAME["W2k"].fields),
            ("POST", "/api/v1/posts", self.post, POST),
            ("POST", "/api/v1/transfers", transfer, TRANSFER),
        ):
            answer = ask(contender, method, path, token=token, body=body)
            missing = set(fields.split()) - set(answer.body or ())
            _demand(answer.status == (200 if body is None else 201) and not missing, contender, path, answer)
        _demand_list(contender, reference)
        for path, body in (("/api/v1/posts", {**self.post, "title": ""}), ("/api/v1/transfers", {"amount": "much"})):
            answer = ask(contender, "POST", path, token=token, body=body)
            _demand(answer.status in (400, 422), contender, path, answer)
        answer = ask(contender, "GET", "/auth/me", token=token[:-5] + "AAAAA")
        _demand(answer.status in (401, 422), contender, "/auth/me", answer)  # 422: Flask-JWT-Extended.
        too_much = ask(contender, "POST", "/api/v1/transfers", token=token, body={**transfer, "amount": 10**12})
        _demand(too_much.status == 409, contender, "/api/v1/transfers", too_much)


def _demand_list(contender: Served, reference: Served) -> None:
    """See that a contender lists the same posts as ``reference``, page and cursor, with the same fields and total."""
    for path in ("/api/v1/posts?page=3", "/api/v1/posts?cursor=" + "{}"):
        answers = []
        for served in (contender, reference):
            own = path.format(quote(cursors(served, "/api/v1/posts", 2)[-1]))
            answers.append(ask(served, "GET", own))
        mine, theirs = ([post["id"] for post in answer.body["posts"]] for answer in answers)
        _demand(mine == theirs and len(mine) == 20, contender, path, answers[0])
        _demand(not set(POST.split()) - set(answers[0].body["posts"][0]), contender, path, answers[0])
    # Agora's total may be five seconds old, and a post was made just now.
    totals = [ask(served, "GET", "/api/v1/posts").body["total"] for served in (contender, reference)]
    _demand(abs(totals[0] - totals[1]) < 100, contender, "total", totals)


def _demand(good: bool, contender: Served, path: str, answer: Any) -> None:
    if not good:
        raise RuntimeError(f"{contender.name} gives a wrong answer to {path}: {str(answer)[:500]}")
