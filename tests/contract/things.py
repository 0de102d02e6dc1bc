"""One of everything that a member owns, by the names that ids have in paths, also in the states that change rights."""

import re
from collections.abc import Callable
from io import BytesIO
from typing import Any

from sqlalchemy import update

from app.core import clock
from app.core.clients import storage
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.files.models import File
from app.jobs.models import Job
from tests.client import CheckedClient
from tests.conftest import PASSWORD
from tests.contract.resources import RESOURCES, Resource, uploaded
from tests.contract.routes import ROUTES, WORDS, Route

Ids = dict[str, int]

MARK = "xyzzy"  # in what is private
NEW = {resource.url: resource.new for resource in RESOURCES}


class Things:
    """The things of ``member``; ``helper``, an admin, does what a member cannot do alone."""

    def __init__(self, member: CheckedClient, helper: CheckedClient) -> None:
        self.member, self.helper = member, helper
        self.plain = {name: self._make(resource) for resource in RESOURCES if (name := name_of_id(resource))}
        self._end_job(self.plain["job_id"])
        self._make_thumbnail(self.plain["file_id"], MARK)
        self.special: dict[str, Ids] = {
            "disabled": {"user_id": self._disabled_member()},
            "hidden": {"post_id": self._hidden_post()},
            "picture": {"file_id": self._picture()},
            "withdrawn": {"product_id": self._withdrawn_product()},
            "received": {"order_id": self._order(buyer=helper, seller=member)},
        }

    def url(self, route: Route, about: str = "-") -> str:
        """Return the address of a thing at a route."""
        ids = self.plain | self.special.get(about, {})
        url = re.sub("<id:([a-z_]+)>", lambda found: str(ids[found[1]]), route.rule)
        for word, value in WORDS.items():
            url = url.replace(f"<{word}>", value)
        return url

    def empty_account(self) -> None:
        """Let nothing keep the member from being deleted."""
        for ids in (self.plain, self.special["received"]):
            assert self.member.post(f"/api/v1/orders/{ids['order_id']}/cancellation").status_code == 200
        left = {"user_id": self.member.user_id, "amount": self.member.get("/api/v1/wallet").get_json()["balance"]}
        assert self.helper.post("/api/v1/withdrawals", json=left).status_code == 201

    def _make(self, resource: Resource) -> int:
        needs_another: dict[str, Callable[[], int]] = {
            "/api/v1/transfers": lambda: created(self.helper, "deposits", user_id=self.member.user_id, memo=MARK),
            "/api/v1/orders": lambda: self._order(buyer=self.member, seller=self.helper),
        }
        if resource.url in needs_another:
            return needs_another[resource.url]()
        assert resource.make, f"{resource.url} has ids in its paths, and needs a `make` in resources.py"
        return resource.make(resource, self.member)

    def _order(self, *, buyer: CheckedClient, seller: CheckedClient) -> int:
        created(self.helper, "deposits", user_id=buyer.user_id)
        return created(buyer, "orders", lines=[{"product_id": created(seller, "products"), "quantity": 1}])

    def _hidden_post(self) -> int:
        number = created(self.member, "posts")
        assert self.helper.patch(f"/api/v1/posts/{number}", json={"is_hidden": True}).status_code == 200
        return number

    def _picture(self) -> int:
        number = created(self.member, "files")
        created(self.member, "products", image_id=number)
        self._make_thumbnail(number, "public")
        return number

    def _withdrawn_product(self) -> int:
        number = created(self.member, "products")
        assert self.member.delete(f"/api/v1/products/{number}").status_code == 204
        return number

    def _disabled_member(self) -> int:
        account = {"email": f"of.{self.member.email}", "name": "Disabled", "password": PASSWORD}
        number = created(self.helper, "users", **account)
        assert self.helper.patch(f"/api/v1/users/{number}", json={"is_active": False}).status_code == 200
        return number

    def _end_job(self, job_id: int) -> None:
        """Let a job have made a file."""
        with self.member.application.app_context():
            made = {"result_key": storage.put(BytesIO(MARK.encode()), "results"), "result_size": len(MARK)}
            named = {"result_name": "a.csv", "result_type": "text/csv"}
            ended = {"status": "succeeded", "finished_at": clock.now(), **made, **named}
            unit_of_work(lambda: db.session.execute(update(Job).where(Job.id == job_id).values(ended)))

    def _make_thumbnail(self, file_id: int, content: str) -> None:
        """Let a picture have a thumbnail."""
        with self.member.application.app_context():
            made = {
                "thumbnail_key": storage.put(BytesIO(content.encode()), "thumbnails"),
                "thumbnail_size": len(content),
            }
            unit_of_work(lambda: db.session.execute(update(File).where(File.id == file_id).values(made)))


def name_of_id(resource: Resource) -> str | None:
    """Return what the id of such a thing is called in paths, None of what has no path with an id."""
    start = f"{resource.url}/<id:"
    return next((r.rule.removeprefix(start).partition(">")[0] for r in ROUTES if r.rule.startswith(start)), None)


def created(member: CheckedClient, word: str, **changes: Any) -> int:
    """Let the member create a thing, and return its id."""
    sent = uploaded() if word == "files" else {"json": {**(NEW[f"/api/v1/{word}"] or {}), **changes}}
    answer = member.post(f"/api/v1/{word}", **sent)
    assert answer.status_code == 201, answer.text
    return int(answer.get_json()["id"])
