"""What the contract tests need to know of each resource, in one table: RESOURCES, a block for each.

The URL map says which routes there are; what it cannot say stands here. A route without its row is one failing test, in
``test_resources.py``, whose message says what to add; the other tests go through the routes that have theirs.

A block is a ``Resource(...)``; what it may say is told below. The one of a new resource is the last of RESOURCES, above
the line that says so, and can be as short as that of todos. A route is named by its method and by what follows the URL
of its resource: ``"GET"``, ``"DELETE <id>"``, ``"POST <id>/completion"``.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from PIL import Image
from sqlalchemy import insert, update

from app.core import clock
from app.core.clients import storage
from app.core.db.base import Base
from app.core.unit_of_work import unit_of_work
from app.credentials.models import RESET, VERIFICATION
from app.extensions import db
from app.files.service import make_thumbnail
from app.jobs.models import Job
from app.registry import HOOKS
from app.users.service import user_deleting
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, ask_for_job, use_token
from tests.contract.routes import ROUTES, Route
from tests.credentials.conftest import mailed_token

Json = dict[str, Any]
Rows = dict[str, list[Json]]


@dataclass(frozen=True, kw_only=True)
class Resource:
    """What the tests need of the resource at ``url``.

    ``statements``: how many SQL statements each of its routes sends; a pair is of SQLite and of PostgreSQL.
    ``new``: the body of a POST that makes one.
    ``changes``: bodies of PATCHes, of which each is a change after the one before. The body of a PUT is ``new`` with
    the first of them.
    ``bodies``: of the other routes that take one, or if a PUT takes something else.
    ``again``: the status of a POST to ``<id>/...`` that is sent a second time: what can be done only once is 409.
    ``make``: called with the resource and its owner, lets one come to be and returns its id.
    ``after``: the URLs of the resources of which one must be there before ``make``.
    ``owner``: the id of the member who owns what is in stock: 1 or 2, two admins.
    ``before``: by route, called with the owner: what must come before the route can succeed.
    ``many``: returns the rows, by table, of which lists are made, for a range of numbers; member 1 finds them all.
    """

    url: str
    statements: dict[str, int | tuple[int, int]]
    new: Json | None = None
    changes: tuple[Json, ...] = ()
    bodies: dict[str, Json] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    make: Callable[["Resource", CheckedClient], int] | None = None
    after: tuple[str, ...] = ()
    owner: int = 1
    before: dict[str, Callable[[CheckedClient], object]] = field(default_factory=dict)
    many: Callable[[range], Rows] | None = None

    def body(self, route: str) -> Json | None:
        """Return what is sent to one of its routes, None for nothing."""
        changed = self.changes[0] if self.changes else None
        whole = {**(self.new or {}), **changed} if changed else None
        return {"POST": self.new, "PATCH <id>": changed, "PUT <id>": whole, **self.bodies}.get(route)


def posted(resource: Resource, owner: CheckedClient) -> int:
    """Let one come to be by a POST, and return its id."""
    sent = uploaded() if resource.new is None else {"json": resource.new}
    made = owner.post(resource.url, **sent)
    assert made.status_code == 201, made.text
    return int(made.get_json()["id"])


def inserted(resource: Resource, owner: CheckedClient) -> int:
    """Let one come to be as a row, where only the service itself makes one, and return its id."""
    assert resource.many
    ((table, (row,)),) = resource.many(range(1)).items()
    fill(owner, {table: [row | {"user_id": owner.user_id}]})
    newest = owner.get(resource.url).get_json()
    return int(newest[resource.url.rpartition("/")[2]][0]["id"])


def uploaded() -> Json:
    """Return what uploads a picture."""
    return {"data": {"file": (BytesIO(PICTURE), "red.png")}}


def fill(client: CheckedClient, rows: Rows) -> None:
    """Insert rows, by table."""
    tables = Base.metadata.tables
    with client.application.app_context():
        unit_of_work(lambda: [db.session.execute(insert(tables[name]), values) for name, values in rows.items()])


def _picture() -> bytes:
    made = BytesIO()
    Image.new("RGB", (8, 8), "red").save(made, "PNG")
    return made.getvalue()


PICTURE = _picture()
CREDENTIALS = {"email": "admin1@example.com", "password": PASSWORD}

NEW_PASSWORD = "Another-staple-2"
# What is sent with a mailed token, which _mail_tokens puts in.
MAILED_RESET = {"token": "", "password": NEW_PASSWORD}
MAILED_VERIFICATION = {"token": ""}


def _mail_tokens(client: CheckedClient) -> None:
    MAILED_RESET["token"] = mailed_token(client, RESET)
    MAILED_VERIFICATION["token"] = mailed_token(client, VERIFICATION)


def _sign_in_again(client: CheckedClient) -> None:
    assert client.post("/auth/login", json=CREDENTIALS).status_code == 200


def _take_refresh_token(client: CheckedClient) -> None:
    use_token(client, client.post("/auth/login", json=CREDENTIALS).get_json()["refresh_token"])


def _own_session(_resource: Resource, client: CheckedClient) -> int:
    return int(client.get("/auth/sessions").get_json()["sessions"][0]["id"])


def _empty_account(admin: CheckedClient) -> None:
    """Let nothing keep the admin from being deleted."""
    for number in (1, 2, 3):
        assert admin.post(f"/api/v1/orders/{number}/cancellation").status_code == 200
    left = {"user_id": 1, "amount": admin.get("/api/v1/wallet").get_json()["balance"]}
    assert admin.post("/api/v1/withdrawals", json=left).status_code == 201


def _make_thumbnail(client: CheckedClient) -> None:
    with client.application.app_context():
        make_thumbnail(1)


def _make_result(client: CheckedClient) -> None:
    """Let job 1 have made a file."""

    def end() -> None:
        file = {
            "result_key": storage.put(BytesIO(b"a,b"), "results"),
            "result_name": "a.csv",
            "result_type": "text/csv",
        }
        ended = {"status": "succeeded", "finished_at": clock.now(), "result_size": 3, **file}
        db.session.execute(update(Job).where(Job.id == 1).values(ended))

    with client.application.app_context():
        unit_of_work(end)


def _sessions(numbers: range) -> Rows:
    seen = {"expires_at": clock.now().replace(year=2999), "last_used_at": clock.now(), "address": "", "agent": ""}
    return {"sessions": [{"user_id": 1, **seen} for _ in numbers]}


def _users(numbers: range) -> Rows:
    addresses = [f"m{i}@x.example" for i in numbers]
    return {"users": [{"name": address, "email": address, "email_key": address} for address in addresses]}


def _files(numbers: range) -> Rows:
    picture = {"content_type": "image/png", "size": 1, "sha256": "0" * 64, "awaits_thumbnail": False}
    return {"files": [{"user_id": 1, "name": "f", "storage_key": f"k{i}", **picture} for i in numbers]}


def _transfers(numbers: range) -> Rows:
    issuing = {"kind": "issuing", "user_id": None, "balance": -len(numbers)}
    return {
        "accounts": [issuing, {"kind": "member", "user_id": 1, "balance": len(numbers)}],
        "transfers": [{"kind": "deposit", "receiver_id": 1, "amount": 1} for _ in numbers],
    }


def _entries(numbers: range) -> Rows:
    return {"entries": [{"transfer_id": i + 1, "account_id": 2, "amount": 1, "balance_after": i + 1} for i in numbers]}


def _orders(numbers: range) -> Rows:
    line = {"product_id": 1, "name": "p", "unit_price": 0, "quantity": 1}
    return {
        "orders": [{"buyer_id": 1, "seller_id": 2, "total": 0} for _ in numbers],
        "order_lines": [{"order_id": i + 1, **line} for i in numbers],
    }


def _notifications(numbers: range) -> Rows:
    data = {"transfer_id": 1, "kind": "deposit", "sender_id": None, "receiver_id": 1, "amount": 1}
    return {"notifications": [{"user_id": 1, "kind": "transfer_received", "data": data} for _ in numbers]}


RESOURCES = (
    Resource(
        url="/auth",
        bodies={
            "POST login": CREDENTIALS,
            "POST session": {**CREDENTIALS, "remember": True},
            "POST confirm": {"password": PASSWORD},
            "PUT password": {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
            "POST password/forgot": {"email": CREDENTIALS["email"]},
            "POST password/reset": MAILED_RESET,
            "POST email/verify": MAILED_VERIFICATION,
        },
        before={
            "POST password/reset": _mail_tokens,
            "POST email/verify": _mail_tokens,
            "POST refresh": _take_refresh_token,
            "PUT session": _take_refresh_token,
        },
        statements={
            "POST login": 6,
            "POST refresh": 6,
            "POST logout": 3,
            "POST session": 6,
            "PUT session": 6,
            "GET session": 1,
            "DELETE session": 3,
            "POST confirm": 4,
            "GET me": 1,
            "GET permissions": 1,
            "PUT password": 9,
            "POST password/forgot": 1,
            "POST password/reset": 8,
            "POST email/verification": 4,
            "POST email/verify": 3,
        },
    ),
    Resource(
        url="/auth/sessions",
        make=_own_session,
        before={"DELETE": _sign_in_again},
        many=_sessions,
        statements={"GET": 3, "DELETE": 3, "DELETE <id>": 3},
    ),
    Resource(
        url="/api/v1/users",
        new={"email": "new@example.com", "name": "New", "password": PASSWORD},
        changes=({"name": "Renamed"}, {"notify_by_email": False}),
        bodies={"PUT <id>": {"name": "Renamed"}},
        make=lambda _resource, member: member.user_id,
        before={"DELETE <id>": _empty_account, "DELETE <id>/sessions": _sign_in_again},
        many=_users,
        statements={
            "GET": 3,
            "POST": 2,
            "GET <id>": 2,
            "PUT <id>": 6,
            "PATCH <id>": 6,
            "DELETE <id>": 11 + len(dict(HOOKS)[user_deleting]),  # one of each function that is called
            "GET <id>/sessions": 4,
            "DELETE <id>/sessions": 4,
            "DELETE <id>/sessions/<id>": 3,
            "GET <id>/posts": 4,
            "GET <id>/wallet": 2,
            "GET <id>/wallet/entries": 4,
        },
    ),
    Resource(
        url="/api/v1/posts",
        new={"title": "t", "content": "c"},
        changes=({"title": "u"}, {"title": "t"}, {"content": "d"}),
        make=posted,
        many=lambda numbers: {"posts": [{"user_id": 1, "title": f"t{i}", "content": "c"} for i in numbers]},
        statements={"GET": 3, "POST": 2, "GET <id>": 2, "PUT <id>": 5, "PATCH <id>": 5, "DELETE <id>": 4},
    ),
    Resource(
        url="/api/v1/todos",
        new={"task": "x"},
        changes=({"done": True}, {"done": False}, {"task": "y"}),
        make=posted,
        many=lambda numbers: {"todos": [{"user_id": 1, "task": f"t{i}"} for i in numbers]},
        statements={"GET": 3, "POST": 2, "GET <id>": 2, "PUT <id>": 3, "PATCH <id>": 3, "DELETE <id>": 3},
    ),
    Resource(
        url="/api/v1/jobs",
        again={"POST <id>/cancellation": 409},
        make=lambda _resource, member: ask_for_job(member),
        before={"GET <id>/result": _make_result},
        many=lambda numbers: {
            "jobs": [{"user_id": 1, "kind": "purge", "params": {}, "due_at": clock.now()} for _ in numbers]
        },
        statements={"GET": 3, "GET <id>": 2, "GET <id>/result": 2, "POST <id>/cancellation": 5},
    ),
    Resource(
        url="/api/v1/files",
        make=posted,
        before={"GET <id>/thumbnail": _make_thumbnail},
        many=_files,
        statements={
            "GET": 3,
            "POST": 6,
            "GET <id>": 2,
            "DELETE <id>": 5,
            "GET <id>/content": 2,
            "GET <id>/thumbnail": 2,
        },
    ),
    Resource(
        url="/api/v1/products",
        new={"name": "Honey", "price": 7, "stock": 50},
        changes=({"price": 8}, {"price": 7}, {"stock": 40}),
        make=posted,
        owner=2,
        many=lambda numbers: {"products": [{"seller_id": 1, "name": f"p{i}", "price": i, "stock": 1} for i in numbers]},
        statements={"GET": 3, "POST": 2, "GET <id>": 2, "PUT <id>": 5, "PATCH <id>": 5, "DELETE <id>": 5},
    ),
    Resource(url="/api/v1/rates", statements={"GET <currency>": 1}),  # the community's own currency
    Resource(
        url="/api/v1/imports",
        new={"kind": "products", "file_id": 1, "mode": "partial"},
        statements={"POST": 4},
    ),
    Resource(url="/api/v1/reports", new={"kind": "statement", "format": "csv"}, statements={"POST": 3}),
    Resource(
        url="/api/v1/deposits",
        new={"user_id": 1, "amount": 100},
        make=posted,
        statements={"POST": (7, 5)},
    ),
    Resource(url="/api/v1/withdrawals", new={"user_id": 1, "amount": 9}, statements={"POST": (6, 4)}),
    Resource(
        url="/api/v1/orders",
        new={"lines": [{"product_id": 1, "quantity": 2}]},
        again={"POST <id>/completion": 409, "POST <id>/cancellation": 409},
        make=posted,
        after=("/api/v1/products", "/api/v1/deposits"),
        many=_orders,
        statements={
            "GET": 4,
            "POST": (12, 10),
            "GET <id>": 3,
            "POST <id>/completion": (11, 9),
            "POST <id>/cancellation": (14, 12),
        },
    ),
    Resource(
        url="/api/v1/transfers",
        new={"receiver_id": 2, "amount": 11},
        again={"POST <id>/reversal": 409},
        make=posted,
        after=("/api/v1/deposits",),
        many=_transfers,
        statements={"GET": 3, "POST": (6, 4), "GET <id>": 2, "POST <id>/reversal": (8, 6)},
    ),
    Resource(url="/api/v1/wallet", many=_entries, statements={"GET": 2, "GET entries": 3}),
    Resource(url="/api/v1/ledger", statements={"GET": 3}),
    Resource(
        url="/api/v1/notifications",
        changes=({"read": True}, {"read": False}),
        make=inserted,
        many=_notifications,
        statements={"GET": 3, "GET <id>": 2, "PATCH <id>": 4},
    ),
    Resource(
        url="/api/v1/audit",
        many=lambda numbers: {"audit": [{"action": "session.failed", "data": {}} for _ in numbers]},
        statements={"GET": 3},
    ),
    # A new resource is inserted above this line.
    Resource(url="/", statements={"GET": 0}),
    Resource(url="/docs", statements={"GET": 0, "GET <name>": 0}),
    Resource(url="/openapi.json", statements={"GET": 0}),
    Resource(
        url="/health", statements={"GET": 0, "GET ready": 5}
    ),  # one more asks PostgreSQL for a table of migrations
    Resource(url="/metrics", statements={"GET": 2}),
)


def resource_of(route: Route) -> Resource | None:
    """Return the row of a route: that of the longest URL with which it begins."""
    found = [one for one in RESOURCES if route.rule == one.url or route.rule.startswith(f"{one.url}/")]
    return max(found, key=lambda one: len(one.url), default=None)


def key_of(route: Route, resource: Resource) -> str:
    """Return what a route is called in the row of its resource."""
    rest = re.sub(r"<id:\w+>", "<id>", route.rule.removeprefix(resource.url)).replace("<string:", "<")
    return f"{route.method} {rest.strip('/')}".strip()


def gaps(route: Route) -> Iterator[str]:
    """Yield what the table does not say of a route, in words for who has to add it."""
    resource = resource_of(route)
    if resource is None:
        yield f"a row: Resource(url={route.rule.partition('/<')[0]!r}, ...)"
        return
    key = key_of(route, resource)
    missing = {
        f"statements={{{key!r}: ...}}": key not in resource.statements,
        f"a body: bodies={{{key!r}: ...}}": bool(route.contract.body) and resource.body(key) is None,
        "how one comes to be: make=...": "<id>" in key and resource.make is None,
        "rows for its list: many=...": bool(route.contract.listing) and resource.many is None,
        f"what a second time is: again={{{key!r}: ...}}": key.startswith("POST <id>/") and key not in resource.again,
    }
    yield from (f"in Resource(url={resource.url!r}): {what}" for what, is_missing in missing.items() if is_missing)


KNOWN = [route for route in ROUTES if not any(gaps(route))]
LISTS = [route for route in KNOWN if route.contract.listing]


def row(route: Route) -> tuple[Resource, str]:
    """Return the resource of a known route, and what the route is called there."""
    resource = resource_of(route)
    assert resource
    return resource, key_of(route, resource)


def _named() -> Iterator[tuple[str, Resource]]:
    for resource in RESOURCES:
        for route in ROUTES:
            found = re.fullmatch(rf"{resource.url}/<id:(\w+)>", route.rule)
            if found:
                yield found[1], resource


# The resources by what a path calls their ids.
NAMED = dict(_named())


def sent_to(route: Route) -> Json:
    """Return what makes a request to a known route succeed, with the number 1 of everything."""
    if route.contract.upload:
        return uploaded()
    resource, key = row(route)
    return {"json": resource.body(key)} if route.contract.body else {}


def prepare(route: Route, owner: CheckedClient) -> None:
    """Do what must come before a known route can succeed."""
    resource, key = row(route)
    if key in resource.before:
        resource.before[key](owner)


def stocked(as_user: AsUser) -> CheckedClient:
    """Return an admin who has the number 1 of everything, and may do anything with it, and of each two more."""
    members = {1: as_user("admin"), 2: as_user("admin")}
    assert [member.user_id for member in members.values()] == [1, 2]
    for _ in range(3):
        for resource in RESOURCES:
            if resource.make:
                resource.make(resource, members[resource.owner])
    return members[1]
