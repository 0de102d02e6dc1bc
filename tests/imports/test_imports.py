"""Imports: products from a CSV file, checked row by row, made once whatever dies."""

import csv
import io
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from flask import Flask

from app.core.background.dispatcher import DEFAULT_QUEUE
from app.core.caller import Caller
from app.core.schema import load
from app.core.unit_of_work import unit_of_work
from app.files import service as files
from app.imports import jobs
from app.jobs import claims, kinds, runner
from app.jobs.kinds import Run
from app.products import service as products
from tests.client import CheckedClient
from tests.conftest import AsUser
from tests.files.test_upload import upload

Json = dict[str, Any]
Work = Callable[[], None]

URL = "/api/v1/imports"
MODES = ("validate", "atomic", "partial")
GOOD = "name,price,description,stock,is_active\r\nHoney,450,From the garden,12,true\r\nJam,0,,,false\r\n"
MIXED = 'name,price,stock\nHoney,450,1\n,1,1\nBread,12.50,-1\n"Two\nlines",7,3\nToo,few\n'


@pytest.fixture
def member(as_user: AsUser) -> CheckedClient:
    return as_user()


def ask(client: CheckedClient, content: str | bytes, mode: str = "partial") -> Json:
    raw = content.encode() if isinstance(content, str) else content
    file_id = upload(client, raw, "products.csv").get_json()["id"]
    answer = client.post(URL, json={"kind": "products", "file_id": file_id, "mode": mode})
    assert answer.status_code == 202, answer.text
    job: Json = answer.get_json()
    return job


def outcome(client: CheckedClient, job: Json) -> Json:
    seen: Json = client.get(f"/api/v1/jobs/{job['id']}").get_json()
    return seen


def bad_rows(client: CheckedClient, job: Json) -> list[list[str]]:
    told = client.get(outcome(client, job)["result_url"])
    assert told.mimetype == "text/csv"
    header, *rows = csv.reader(io.StringIO(told.text))
    assert header == ["line", "field", "message"]
    return rows


def names(client: CheckedClient) -> list[str]:
    return [product["name"] for product in client.get("/api/v1/products?sort=created_at").get_json()["products"]]


def test_an_import_is_acknowledged_as_a_job_and_makes_products(member: CheckedClient, work: Work) -> None:
    file_id = upload(member, GOOD.encode(), "products.csv").get_json()["id"]
    answer = member.post(URL, json={"kind": "products", "file_id": file_id, "mode": "atomic"})
    job = answer.get_json()
    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "1")
    assert answer.headers["Location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["kind"], job["status"], job["progress"]["done"]) == ("import", "queued", 0)
    work()
    done = outcome(member, job)
    assert (done["status"], done["result"]) == ("succeeded", {"rows": 2, "good": 2, "bad": 0, "created": 2})
    assert done["progress"] == {"done": 4, "total": 4}
    assert bad_rows(member, job) == []
    honey, jam = member.get("/api/v1/products?sort=created_at").get_json()["products"]
    fields = ("name", "price", "description", "stock", "is_active", "seller_id")
    assert [honey[field] for field in fields] == ["Honey", 450, "From the garden", 12, True, member.user_id]
    assert [jam[field] for field in fields] == ["Jam", 0, "", 0, False, member.user_id]


@pytest.mark.parametrize(("mode", "created"), [("validate", 0), ("atomic", 0), ("partial", 2)])
def test_bad_rows_are_named_by_line_field_and_reason(
    member: CheckedClient, work: Work, mode: str, created: int
) -> None:
    job = ask(member, MIXED, mode)
    work()
    assert outcome(member, job)["result"] == {"rows": 5, "good": 2, "bad": 3, "created": created}
    assert len(names(member)) == created
    assert bad_rows(member, job) == [
        ["3", "name", "Missing data for required field."],
        ["4", "price", "Must be a whole number."],
        ["4", "stock", "Must be from 0 to 1000000000."],
        ["7", "_schema", "Has 2 cells, and the header has 3."],
    ]


@pytest.mark.parametrize("mode", ["atomic", "partial"])
@pytest.mark.parametrize("again", ["atomic", "partial"])
def test_the_same_file_again_creates_nothing(member: CheckedClient, work: Work, mode: str, again: str) -> None:
    ask(member, GOOD, mode)
    work()
    job = ask(member, GOOD, again)
    work()
    assert outcome(member, job)["result"] == {"rows": 2, "good": 2, "bad": 0, "created": 0}
    assert len(names(member)) == 2


def test_validating_does_not_count_as_importing_nor_does_another_member_s_import(
    as_user: AsUser, member: CheckedClient, work: Work
) -> None:
    ask(member, GOOD, "validate")
    ask(as_user(), GOOD)
    work()
    job = ask(member, GOOD)
    work()
    assert outcome(member, job)["result"]["created"] == 2
    assert len(names(member)) == 4


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("name,stock\nHoney,1\n", "must name name and price"),
        ("name,price,color\nHoney,1,red\n", "must name"),
        ("name,price,name\nHoney,1,Jam\n", "each once"),
        ("Name;Price\nHoney;1\n", "must name"),
        ('"name,price\nHoney,1\n', "must name"),
        ("\n", "must name"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "must name"),
    ],
)
def test_a_file_without_a_header_of_products_fails_with_a_reason(
    member: CheckedClient, work: Work, content: str | bytes, reason: str
) -> None:
    job = ask(member, content)
    work()
    seen = outcome(member, job)
    assert (seen["status"], seen["error"]["code"], seen["result_url"]) == ("failed", "bad_header", None)
    assert reason in seen["error"]["message"]


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        (b"Hon\xffey,1", "name", "Must be text in UTF-8, without NUL."),
        (b"Hon\x00ey,1", "name", "Must be text in UTF-8, without NUL."),
        (b"x" * 121 + b",1", "name", "Must be 1 to 120 characters long."),
        (b"   ,1", "name", "Must not be blank."),
        (b"Honey,1e3", "price", "Must be a whole number."),
        (b"Honey,1000000000001", "price", "Must be from 0 to 1000000000000."),
        (b"Honey,\xd9\xa1", "price", "Must be a whole number."),
        (b'Honey,"1', "_schema", "Is not well-formed CSV."),
        (b'Ho"ney,"1"2', "_schema", "Is not well-formed CSV."),
        (b'"' + b"x" * 200_000 + b'",1', "_schema", "Is not well-formed CSV."),
    ],
)
def test_a_cell_that_no_product_can_have_is_bad(
    member: CheckedClient, work: Work, row: bytes, field: str, reason: str
) -> None:
    job = ask(member, b"name,price\n" + row)
    work()
    assert outcome(member, job)["result"]["created"] == 0
    assert ["2", field, reason] in bad_rows(member, job)


def test_a_byte_order_mark_quotes_blank_lines_and_any_line_end_are_read(member: CheckedClient, work: Work) -> None:
    job = ask(member, '\ufeff"name","price"\r\n\r\n"He said ""hi"", and left",1\r\nHörnchen 🥐,2\n')
    work()
    assert outcome(member, job)["result"] == {"rows": 2, "good": 2, "bad": 0, "created": 2}
    assert names(member) == ['He said "hi", and left', "Hörnchen 🥐"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "products", "file_id": 1}, "mode"),
        ({"kind": "posts", "file_id": 1, "mode": "atomic"}, "kind"),
        ({"kind": "products", "file_id": 99, "mode": "atomic"}, "file_id"),
        ({"kind": "products", "file_id": 1, "mode": "some"}, "mode"),
    ],
)
def test_what_cannot_be_imported_is_refused_at_once(
    as_user: AsUser, member: CheckedClient, body: Json, field: str
) -> None:
    assert upload(member).status_code == 201
    answer = member.post(URL, json=body)
    assert (answer.status_code, list(answer.get_json()["errors"])) == (400, [field])
    foreign = as_user().post(URL, json={"kind": "products", "file_id": 1, "mode": "atomic"})
    assert (foreign.status_code, list(foreign.get_json()["errors"])) == (400, ["file_id"])


def test_a_file_is_kept_until_its_import_has_read_it(member: CheckedClient, work: Work) -> None:
    ask(member, GOOD)
    refused = member.delete("/api/v1/files/1")
    assert (refused.status_code, refused.get_json()["code"]) == (409, "file_in_use")
    work()
    assert member.delete("/api/v1/files/1").status_code == 204


class Killed(BaseException):
    """What a worker's process does not survive."""


@pytest.fixture
def dies_after(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the worker die when that many batches have been written; the next attempt finds the lease expired."""

    def arm(batches: int) -> None:
        left = iter(range(batches))
        real = products.create_products

        def dying(seller_id: int, rows: Sequence[products.NewProduct]) -> None:
            if next(left, None) is None:
                monkeypatch.setattr(products, "create_products", real)
                raise Killed
            real(seller_id, rows)

        monkeypatch.setattr(products, "create_products", dying)
        monkeypatch.setattr(claims, "LEASE", -claims.LEASE)
        monkeypatch.setattr(jobs, "BATCH_SIZE", 2)

    return arm


@pytest.mark.parametrize(("mode", "kept"), [("atomic", 0), ("partial", 4)])
def test_an_import_goes_on_behind_the_last_row_of_the_worker_that_died(
    app: Flask, member: CheckedClient, dies_after: Callable[[int], None], mode: str, kept: int
) -> None:
    job = ask(member, "name,price\n" + "".join(f"p{number},1\n" for number in range(9)), mode)
    dies_after(2)
    with pytest.raises(Killed), app.app_context():
        runner.run_next(DEFAULT_QUEUE)
    assert len(names(member)) == kept
    with app.app_context():
        assert runner.run_next(DEFAULT_QUEUE)
    seen = outcome(member, job)
    assert (seen["status"], seen["result"]) == ("succeeded", {"rows": 9, "good": 9, "bad": 0, "created": 9})
    assert sorted(names(member)) == [f"p{number}" for number in range(9)]


def new_product(name: str) -> products.NewProduct:
    return {"name": name, "description": "", "price": 1, "stock": 0, "is_active": True, "image_id": None}


def test_a_worker_that_comes_back_late_makes_no_row_twice(app: Flask, member: CheckedClient) -> None:
    job = ask(member, GOOD)
    late = Run(job["id"], member.user_id, {"kind": "products", "file_id": 1, "mode": "partial"}, 1, None)  # type: ignore[arg-type]
    with app.app_context():
        assert runner.run_next(DEFAULT_QUEUE)
        writer = jobs._Writer(late, files.get_content(Caller(member.user_id), 1).sha256, checked=2)
        unit_of_work(lambda: writer._write([(2, new_product("Honey")), (3, new_product("Jam"))]))
    assert len(names(member)) == 2


@pytest.mark.parametrize("mode", ["atomic", "partial"])
def test_a_cancelled_import_stops(
    member: CheckedClient, work: Work, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    real = Run.progress

    def cancelling(run: Run, done: int, total: int | None = None) -> None:
        run.cancelled = total is not None
        real(run, done, total)

    monkeypatch.setattr(kinds.Run, "progress", cancelling)
    job = ask(member, GOOD, mode)
    work()
    assert outcome(member, job)["status"] == "cancelled"
    assert names(member) == []


def test_a_member_who_is_deleted_imports_nothing_more(
    app: Flask, as_user: AsUser, member: CheckedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(member, GOOD)
    real = jobs._check

    def deleting(run: Run, key: str, **paths: Any) -> tuple[int, int]:
        counted = real(run, key, **paths)
        assert member.delete(f"/api/v1/users/{member.user_id}").status_code == 204
        return counted

    monkeypatch.setattr(jobs, "_check", deleting)
    with app.app_context():
        assert runner.run_next(DEFAULT_QUEUE)
    assert names(as_user()) == []


def test_what_was_imported_is_forgotten_with_the_member(member: CheckedClient, work: Work) -> None:
    ask(member, GOOD)
    work()
    assert member.delete(f"/api/v1/users/{member.user_id}").status_code == 204


def test_twenty_thousand_rows_take_no_more_memory_than_a_few(member: CheckedClient, work: Work) -> None:
    rows = 20_000
    ask(member, "name,price\n" + "".join(f"product {number},{number}\n" for number in range(rows)))
    tracemalloc.start()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert member.get("/api/v1/products?per_page=1").get_json()["total"] == rows
    assert peak < 8_000_000


def test_of_very_many_bad_rows_the_first_are_listed_and_all_are_counted(
    member: CheckedClient, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Any] = []

    def counting(*row: Any) -> Any:
        loaded.append(row)
        return load(*row)

    monkeypatch.setattr("app.imports.table.load", counting)
    rows = 50_000
    job = ask(member, "name,price\n" + ",\n" * rows + "Honey,450\nJam,\nBread,1\n", "validate")
    work()
    done = outcome(member, job)
    assert done["result"] == {"rows": rows + 3, "good": 2, "bad": rows + 1, "created": 0}
    told = bad_rows(member, job)
    assert {int(line) for line, *_ in told[:-1]} == set(range(2, jobs.MAX_LISTED + 2))
    assert told[-1] == ["", "", f"{rows + 1 - jobs.MAX_LISTED:,} more bad rows are not listed."]
    assert len(member.get(done["result_url"]).data) < 200_000
    assert len(loaded) == jobs.MAX_LISTED + 2
