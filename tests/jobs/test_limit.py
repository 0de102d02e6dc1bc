"""A member has at most ten unfinished jobs of his own asking, however many he asks for at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import update

from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.jobs.models import RUNNING, Job
from tests.client import CheckedClient
from tests.conftest import Again, AsUser, ask_for_job
from tests.files.test_upload import upload

REPORTS, IMPORTS = "/api/v1/reports", "/api/v1/imports"
STATEMENT = {"kind": "statement", "format": "json"}
MOST = 10


def report(client: CheckedClient) -> int:
    return client.post(REPORTS, json=STATEMENT).status_code


def test_who_has_ten_unfinished_jobs_gets_no_other_until_one_ends(as_user: AsUser, work: Callable[[], None]) -> None:
    member, other = as_user(), as_user()
    file_id = upload(member, b"name,price\n").get_json()["id"]
    imported = {"kind": "products", "file_id": file_id, "mode": "validate"}
    assert member.post(IMPORTS, json=imported).status_code == 202
    assert [report(member) for _ in range(MOST - 1)] == [202] * (MOST - 1)
    for url, asked in ((REPORTS, STATEMENT), (IMPORTS, imported)):
        refused = member.post(url, json=asked)
        assert (refused.status_code, refused.get_json()["code"]) == (409, "too_many_jobs")
    assert report(other) == 202
    work()
    assert report(member) == 202


def test_a_job_that_is_cancelled_frees_its_place_at_once(as_user: AsUser) -> None:
    member = as_user()
    ids = [ask_for_job(member) for _ in range(MOST)]
    running = update(Job).where(Job.id == ids[0]).values(status=RUNNING)
    with member.application.app_context():
        unit_of_work(lambda: db.session.execute(running))
    assert report(member) == 409
    for job_id in ids[:2]:
        assert member.post(f"/api/v1/jobs/{job_id}/cancellation").status_code == 200
    assert [report(member) for _ in range(3)] == [202, 202, 409]


def test_what_the_service_does_for_a_member_does_not_count(as_user: AsUser) -> None:
    member = as_user()
    for _ in range(MOST):
        upload(member, b"\x89PNG\r\n\x1a\n")
    assert report(member) == 202


def test_of_many_that_are_asked_for_at_once_ten_are_taken(as_user: AsUser, again: Again) -> None:
    member = as_user()
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(report, [again(member) for _ in range(16)]))
    assert sorted(statuses) == [202] * MOST + [409] * 6
