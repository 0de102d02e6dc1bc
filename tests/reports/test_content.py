"""What reports say: sums that fit each other, the wallet and the ledger, of the period that was asked for."""

import csv
import io
from decimal import Decimal
from typing import Any

import pytest

from app.wallet import service as wallet
from tests.client import CheckedClient
from tests.conftest import AsUser
from tests.reports.conftest import At, Json, Market, Work, as_json, written

Cells = list[dict[str, str]]


def as_csv(member: CheckedClient, work: Work, **asked: Any) -> Cells:
    """Return the rows of a report as CSV, by the names in its header."""
    _, file = written(member, work, format="csv", **asked)
    text = file.data.decode("utf-8")
    assert text.endswith(",EUR\r\n")
    assert "currency\r\n" in text
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert all(len(row) == len(header) == len(set(header)) for row in rows)
    return [dict(zip(header, row, strict=True)) for row in rows]


def section(rows: Cells, name: str) -> Cells:
    return [row for row in rows if row["section"] == name]


def test_a_statement_leads_from_the_opening_to_the_closing_balance(market: Market, work: Work) -> None:
    report = as_json(market.bob, work, kind="statement")
    totals, entries = report["totals"], report["entries"]
    balance = market.bob.get("/api/v1/wallet").get_json()["balance"]
    assert totals == {
        "opening_balance": 0,
        "received": 10_000 + 100 + 1_350,
        "sent": 300 + 1_400 + 1_350 + 450 + 1_000,
        "closing_balance": balance,
        "entries": 8,
    }
    assert [entry["amount"] for entry in entries] == [10_000, -300, -1_400, 100, -1_350, 1_350, -450, -1_000]
    running = 0
    for entry in entries:
        running += entry["amount"]
        assert entry["balance_after"] == running
    assert running == balance
    listed = market.bob.get("/api/v1/wallet/entries", query_string={"sort": "created_at"}).get_json()["entries"]
    assert entries == [{name: entry[name] for name in entries[0]} for entry in listed]


def test_the_months_of_a_statement_are_without_a_gap_and_add_up(market: Market, work: Work) -> None:
    report = as_json(market.bob, work, kind="statement")
    assert [month["month"] for month in report["months"]] == [f"2024-0{n}" for n in range(1, 6)]
    assert report["months"][3] == {"month": "2024-04", "received": 0, "sent": 0, "entries": 0}
    for name in ("received", "sent", "entries"):
        assert sum(month[name] for month in report["months"]) == report["totals"][name]


def test_a_period_holds_its_beginning_and_not_its_end(market: Market, work: Work) -> None:
    february = {"since": "2024-02-01T01:00:00+01:00", "until": "2024-03-01T00:00:00Z"}
    report = as_json(market.bob, work, kind="statement", **february)
    assert (report["since"], report["until"]) == ("2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z")
    assert [entry["amount"] for entry in report["entries"]] == [-1_400]
    assert (report["totals"]["opening_balance"], report["totals"]["closing_balance"]) == (9_700, 8_300)
    march = as_json(market.bob, work, kind="statement", since=february["until"], until="2024-04-01T00:00:00Z")
    assert [entry["amount"] for entry in march["entries"]] == [100]
    assert march["totals"]["opening_balance"] == report["totals"]["closing_balance"]


def test_a_statement_as_csv_is_in_decimals_that_add_up(market: Market, work: Work) -> None:
    rows = as_csv(market.bob, work, kind="statement")
    assert {row["currency"] for row in rows} == {"EUR"}
    (opening,), (closing,) = section(rows, "opening_balance"), section(rows, "closing_balance")
    entries = section(rows, "entry")
    assert [entry["amount"] for entry in entries][:3] == ["100.00", "-3.00", "-14.00"]
    moved = sum(Decimal(entry["amount"]) for entry in entries)
    assert Decimal(opening["amount"]) + moved == Decimal(closing["amount"]) == Decimal(entries[-1]["balance_after"])
    assert entries[0]["created_at"] == "2024-01-10T12:00:00Z"
    assert [entry["memo"] for entry in entries] == ["Welcome", "'=1+1", "", "'-5, ok", "", "", "", "Cash"]


def test_sales_tell_revenue_from_escrow_and_leave_out_what_was_cancelled(market: Market, work: Work) -> None:
    report = as_json(market.ada, work, kind="sales")
    assert report["totals"] == {"revenue": 1_400, "in_escrow": 450, "orders": 1, "open_orders": 1}
    names = ("product_id", "product", "pieces", "revenue", "open_pieces", "in_escrow")
    assert [tuple(product[name] for name in names) for product in report["products"]] == [
        (market.products[0], "Honey", 2, 1_400, 0, 0),
        (market.products[1], "=Bread", 0, 0, 1, 450),
    ]
    assert [(order["status"], order["buyer"], order["pieces"], order["amount"]) for order in report["orders"]] == [
        ("completed", "Bob & <b>Co</b>", 2, 1_400),
        ("placed", "Bob & <b>Co</b>", 1, 450),
    ]
    assert [month["month"] for month in report["months"]] == ["2024-02", "2024-03", "2024-04", "2024-05"]
    rows = as_csv(market.ada, work, kind="sales", until="2024-03-01T00:00:00Z")
    assert [row["product"] for row in section(rows, "product")] == ["Honey"]
    assert [row["amount"] for row in section(rows, "order")] == ["14.00"]
    assert section(as_csv(market.ada, work, kind="sales"), "product")[1]["product"] == "'=Bread"


def test_the_communitys_report_agrees_with_the_ledger_and_the_wallets(market: Market, work: Work) -> None:
    report = as_json(market.treasurer, work, kind="community")
    totals = report["totals"]
    ledger = market.treasurer.get("/api/v1/ledger").get_json()
    assert (totals["issued"], totals["in_escrow"]) == (ledger["issued"], 450)
    assert totals["circulating"] == sum(member["balance"] for member in report["members"]) == totals["issued"] - 450
    for member in report["members"]:
        held = market.treasurer.get(f"/api/v1/users/{member['member_id']}/wallet").get_json()
        assert member["balance"] == held["balance"] == member["received"] - member["sent"]
    assert report["months"][0] == {
        "month": "2024-01",
        "issued": 15_000,
        "withdrawn": 0,
        "transferred": 300,
        "orders": 0,
    }
    assert report["months"][4] == {"month": "2024-05", "issued": 0, "withdrawn": 1_000, "transferred": 0, "orders": 1}
    assert totals["transferred_in_period"] == 400


def test_the_communitys_report_is_as_things_were_at_the_end_of_its_period(market: Market, work: Work) -> None:
    period = {"since": "2024-01-15T00:00:00Z", "until": "2024-02-06T00:00:00Z"}
    report = as_json(market.treasurer, work, kind="community", **period)
    balances = {
        member["member"]: (member["received"], member["sent"], member["balance"]) for member in report["members"]
    }
    assert balances == {"Ada": (300, 0, 5_300), "Bob & <b>Co</b>": (0, 1_700, 8_300)}
    totals = report["totals"]
    assert (totals["issued"], totals["circulating"], totals["in_escrow"]) == (15_000, 13_600, 1_400)
    assert (totals["issued_in_period"], totals["orders_in_period"]) == (0, 1)


def test_a_reversal_counts_as_the_opposite_of_what_it_takes_back(as_user: AsUser, work: Work) -> None:
    treasurer, member = as_user("treasurer"), as_user()
    for word in ("deposits", "withdrawals"):
        answer = treasurer.post(f"/api/v1/{word}", json={"user_id": member.user_id, "amount": 50})
        reversal = treasurer.post(f"/api/v1/transfers/{answer.get_json()['id']}/reversal")
        assert reversal.status_code == 201
        treasurer.post("/api/v1/deposits", json={"user_id": member.user_id, "amount": 100})
    totals = as_json(treasurer, work, kind="community")["totals"]
    assert (totals["issued_in_period"], totals["withdrawn_in_period"]) == (50 + 100 + 50 + 100, 50 + 50)
    assert totals["issued"] == totals["circulating"] == 200


def test_what_there_is_nothing_of_is_empty(as_user: AsUser, work: Work) -> None:
    treasurer = as_user("treasurer")
    for kind, tables in (("statement", ["entries"]), ("sales", ["products", "orders"]), ("community", ["members"])):
        report = as_json(treasurer, work, kind=kind)
        assert [report[table] for table in ("months", *tables)] == [[]] * (1 + len(tables))
        assert not any(report["totals"].values())


@pytest.mark.parametrize(
    ("written_as", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        (" =1", "' =1"),
        ("\u00a0\u200b\ufeff=1", "'\u00a0\u200b\ufeff=1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("\uff0b1", "'\uff0b1"),
        ("\uff0d1", "'\uff0d1"),
        ("\uff20x", "'\uff20x"),
        ("a;=1+1", "a;'=1+1"),
        ("a\n=1", "a\n'=1"),
        ('a",=1', 'a",=1'),
        ("a = b", "a = b"),
        ("me@example.com", "me@example.com"),
        ("12-13", "12-13"),
        ("'quoted'", "'quoted'"),
    ],
)
def test_no_cell_is_run_as_a_formula(as_user: AsUser, work: Work, written_as: str, shown: str) -> None:
    treasurer, member = as_user("treasurer"), as_user(name=f"{written_as}!")
    deposit = {"user_id": member.user_id, "amount": 5, "memo": written_as}
    assert treasurer.post("/api/v1/deposits", json=deposit).status_code == 201
    (entry,) = section(as_csv(member, work, kind="statement"), "entry")
    assert (entry["memo"], entry["amount"]) == (shown, "0.05")
    (row,) = section(as_csv(treasurer, work, kind="community"), "member")
    assert row["member"] == f"{shown}!"
    assert as_json(member, work, kind="statement")["entries"][0]["memo"] == written_as


def test_a_memo_of_many_lines_and_quotes_is_one_cell(at: At, as_user: AsUser, work: Work) -> None:
    member, memo = as_user(), 'a "quoted", b\r\nnext \u00e9 \u4e2d \U0001f34b'
    at("01-01 00:00", lambda: wallet.deposit(user_id=member.user_id, amount=1, memo=memo))
    _, file = written(member, work, kind="statement", format="csv")
    rows: list[Json] = list(csv.DictReader(io.StringIO(file.data.decode(), newline="")))
    assert rows[-1]["memo"] == memo
