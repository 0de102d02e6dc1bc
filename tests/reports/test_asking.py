"""Asking for a report: who may, for what, and what becomes of the job."""

import threading
from datetime import datetime
from typing import Any

import pytest

from app.jobs.kinds import Run
from app.reports import content
from app.wallet import service as wallet
from tests.client import CheckedClient
from tests.conftest import PASSWORD, AsUser, use_token
from tests.reports.conftest import URL, At, Market, Work, written

STATEMENT = {"kind": "statement", "format": "json"}
BEGINS = {"csv": b"section,amount,month,", "json": b'{"kind":', "pdf": b"%PDF-"}
TYPES = {"csv": "text/csv", "json": "application/json", "pdf": "application/pdf"}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("kind", ["statement", "sales", "community"])
@pytest.mark.parametrize("format_", ["csv", "json", "pdf"])
def test_a_report_is_written_by_a_job(market: Market, work: Work, kind: str, format_: str) -> None:
    asked = market.treasurer.post(URL, json={"kind": kind, "format": format_, "since": "2024-01-01T00:00:00Z"})
    queued = asked.get_json()
    assert (asked.status_code, queued["kind"], queued["status"]) == (202, "report", "queued")
    assert asked.headers["Location"] == f"/api/v1/jobs/{queued['id']}"
    assert int(asked.headers["Retry-After"]) > 0
    assert (queued["result"], queued["result_url"]) == (None, None)
    work()
    job = market.treasurer.get(asked.headers["Location"]).get_json()
    result = job["result"]
    assert (job["status"], job["progress"]["done"]) == ("succeeded", job["progress"]["total"])
    assert (result["kind"], result["format"], result["currency"]) == (kind, format_, "EUR")
    assert result["since"] == "2024-01-01T00:00:00Z"
    assert moment(result["until"]) <= moment(queued["created_at"])
    file = market.treasurer.get(job["result_url"])
    assert (file.status_code, file.mimetype) == (200, TYPES[format_])
    assert file.data.startswith(BEGINS[format_])
    assert f"{kind}-2024-01-01-" in file.headers["Content-Disposition"]


@pytest.mark.parametrize("role", ["member", "moderator"])
def test_only_treasurers_and_admins_see_the_communitys_report(as_user: AsUser, work: Work, role: str) -> None:
    refused = as_user(role).post(URL, json={"kind": "community", "format": "json"})
    assert refused.status_code == 403
    assert "report:community" in refused.get_json()["message"]
    for allowed in ("treasurer", "admin"):
        written(as_user(allowed), work, kind="community", format="json")


def test_who_is_demoted_before_the_job_runs_gets_no_report(as_user: AsUser, work: Work) -> None:
    treasurer, admin = as_user("treasurer"), as_user("admin")
    job = treasurer.post(URL, json={"kind": "community", "format": "csv"}).headers["Location"]
    admin.patch(f"/api/v1/users/{treasurer.user_id}", json={"role": "member"})
    work()
    ended = treasurer.get(job).get_json()
    assert (ended["status"], ended["error"]["code"], ended["result_url"]) == ("failed", "forbidden", None)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "ledger"}, "kind"),
        ({"kind": None}, "kind"),
        ({"format": "xlsx"}, "format"),
        ({"since": "2024-02-01T00:00:00Z", "until": "2024-02-01T00:00:00Z"}, "since"),
        ({"since": "2024-02-01T00:00:00Z", "until": "2024-02-01T00:30:00+01:00"}, "since"),
        ({"since": "2999-01-01T00:00:00Z"}, "since"),
        ({"since": "2999-01-01T00:00:00Z", "until": "2999-02-01T00:00:00Z"}, "since"),
        ({"since": "2024-01-01"}, "since"),
        ({"since": "2024-01-01T00:00:00"}, "since"),
        ({"since": "2024-W01-1T00:00:00Z"}, "since"),
        ({"since": "0001-01-01T00:00:00+23:59"}, "since"),
        ({"since": "9999-12-31T23:59:59-23:59"}, "since"),
        ({"since": "2024-01-01T00:00:00+00:60"}, "since"),
        ({"since": 1704067200}, "since"),
        ({"since": None}, "since"),
        ({"until": 1704067200}, "until"),
        ({"user_id": 1}, "user_id"),
    ],
)
def test_a_report_that_cannot_be_is_refused(as_user: AsUser, wrong: dict[str, Any], field: str) -> None:
    member = as_user()
    answer = member.post(URL, json=STATEMENT | wrong)
    assert (answer.status_code, list(answer.get_json()["errors"])) == (400, [field])
    assert member.get("/api/v1/jobs").get_json()["total"] == 0


def test_a_period_ends_at_the_latest_when_the_report_is_asked_for(as_user: AsUser, work: Work) -> None:
    job, _ = written(as_user(), work, **STATEMENT, until="2999-01-01T00:00:00Z")
    assert job["result"]["since"] is None
    assert moment(job["result"]["until"]) <= moment(job["created_at"])


def test_a_dry_run_asks_for_nothing(as_user: AsUser) -> None:
    member = as_user()
    dry = member.post(URL, json=STATEMENT, query_string={"dry_run": "true"})
    assert (dry.status_code, dry.get_json()["id"], dry.headers["Dry-Run"]) == (202, None, "true")
    assert member.get("/api/v1/jobs").get_json()["total"] == 0


def test_a_repeat_with_the_same_key_is_the_same_job(as_user: AsUser) -> None:
    member = as_user()
    first, repeat = (member.post(URL, json=STATEMENT, headers={"Idempotency-Key": "march"}) for _ in range(2))
    assert (repeat.status_code, repeat.data) == (202, first.data)
    assert repeat.headers["Location"] == first.headers["Location"]
    assert member.get("/api/v1/jobs").get_json()["total"] == 1


def test_a_report_is_its_owners_alone(as_user: AsUser, work: Work) -> None:
    member, admin = as_user(), as_user("admin")
    job, _ = written(member, work, **STATEMENT)
    for url in (f"/api/v1/jobs/{job['id']}", job["result_url"]):
        assert admin.get(url).status_code == 404


def test_a_report_goes_with_the_member_who_has_asked_for_it(as_user: AsUser, work: Work) -> None:
    member, admin = as_user(), as_user("admin")
    job = member.post(URL, json=STATEMENT).headers["Location"]
    assert member.delete(f"/api/v1/users/{member.user_id}").status_code == 204
    work()
    assert admin.get(job).status_code == 404


def test_a_report_is_of_one_moment_whatever_moves_while_it_is_written(
    market: Market, work: Work, monkeypatch: pytest.MonkeyPatch, at: At
) -> None:
    def pay_bob() -> None:
        at("02-20 00:00", lambda: wallet.deposit(user_id=market.bob.user_id, amount=77, memo="late"))

    def progress(run: Run, done: int, total: int | None = None) -> None:
        run.done, run.total = done, total or run.total
        told.append((run.done, run.total))
        payment = threading.Thread(target=pay_bob)
        payment.start()
        payment.join()

    told: list[tuple[int, int | None]] = []
    before = market.bob.get("/api/v1/wallet").get_json()["balance"]
    monkeypatch.setattr(content, "PAGE", 3)
    monkeypatch.setattr(Run, "progress", progress)
    for format_ in ("json", "pdf"):
        told.clear()
        job, file = written(market.bob, work, kind="statement", format=format_)
        paid = market.bob.get("/api/v1/wallet").get_json()["balance"] - before
        now = job["result"]["totals"]["closing_balance"] - before
        assert paid > now >= 0
        assert told[0][0] == 0
        assert [done for done, _ in told] == sorted(done for done, _ in told)
        assert told[-1] == (job["result"]["rows"], job["result"]["totals"]["entries"])
        if format_ == "json":
            assert sum(entry["amount"] for entry in file.get_json()["entries"]) == before


def test_the_role_decides_what_may_be_asked_for(as_user: AsUser) -> None:
    roles = as_user("admin").get("/auth/permissions").get_json()["roles"]
    assert {role for role, held in roles.items() if "report:write" in held} == {*roles}
    assert {role for role, held in roles.items() if "report:community" in held} == {"treasurer", "admin"}


def test_a_disabled_member_gets_no_report(as_user: AsUser, work: Work) -> None:
    member, admin = as_user(), as_user("admin")
    job = member.post(URL, json=STATEMENT).headers["Location"]
    for active in (False, True):
        admin.patch(f"/api/v1/users/{member.user_id}", json={"is_active": active})
        work()
    use_token(member, sign_in(member))
    assert member.get(job).get_json()["error"]["code"] == "forbidden"


def sign_in(member: CheckedClient) -> str:
    answer = member.post("/auth/login", json={"email": member.email, "password": PASSWORD})
    return str(answer.get_json()["access_token"])


def test_two_members_reports_do_not_mix(market: Market, work: Work) -> None:
    of_ada, of_bob = (written(member, work, **STATEMENT)[1].get_json() for member in (market.ada, market.bob))
    assert (of_ada["owner"], of_bob["owner"]) == ("Ada", "Bob & <b>Co</b>")
    assert {entry["counterparty"] for entry in of_ada["entries"]} <= {None, "Bob & <b>Co</b>"}
