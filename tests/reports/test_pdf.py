"""Reports to print: every name can be printed, and long ones are bounded."""

import random
import re
import tracemalloc
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert

from app.core import clock
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.reports import fonts, shortened
from app.wallet.models import Account, Entry, Transfer
from tests.conftest import AsUser
from tests.reports.conftest import Market, Work, written

MANY = 20_000
MOST_MEMORY = 6 * 2**20  # bytes; the rows take more
NAMES = [
    "\u0416\u0430\u043d\u043d\u0430", "\u0396\u03c9\u03ae", "\u0141ucja \u015aliwi\u0144ska",
    "\u0645\u062d\u0645\u062f", "\u5f20\u4f1f", "\U0001f34b\U0001f468\u200d\U0001f469", "<b>x</b> & <para>",
    "&amp;</font>", "x" * 80, "\u202eevil", "a\u0301\u0323", "\ufdfa\ufdfa", "\t\n ab", "%s{0}\\",
]  # fmt: skip


# Texts that are wide, tall, or of letters that few programs know.
TEXTS = [
    "\ufdfa", "\ufdfd", "\u0e5b", "\u33af", "W", "i", "W i", "a\u0301\u0327\u20dd", "\u0e33\u0e4b\u0e35",
    "\u05d0\u202e\u0661", "\u0628\u200d", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u200b", "\u00ad", "\u2028",
    "\x01", "\x7f", "\ufeff", "\ufffe", "\u0378", "\ue000", "\U0010fffd", "\u3000", "\t", "\n", "<", "&", "]]>",
    "<br/>", "\\", "%", "\u1100", "\U0001d54f", "\U00012031",
]  # fmt: skip


def pages(content: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b(?!s)", content))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_printed(as_user: AsUser, work: Work, name: str) -> None:
    member, treasurer = as_user(name=name), as_user("treasurer")
    treasurer.post("/api/v1/deposits", json={"user_id": member.user_id, "amount": 5, "memo": name * 2})
    for client, kind in ((member, "statement"), (treasurer, "community")):
        _, file = written(client, work, kind=kind, format="pdf")
        assert pages(file.data) == 1


def long_texts(length: int) -> Iterator[str]:
    """Each text again and again, broken into words and not; and anything, always the same."""
    for text in TEXTS:
        yield (text * length)[:length]
        yield (f"{text} " * length)[:length]
    anything = random.Random(1)  # noqa: S311
    chosen = [char for char in map(chr, range(1, 0x110000)) if unicodedata.category(char) != "Cs"]
    for _ in range(30):
        yield "".join(anything.choices(chosen, k=length))


def test_no_text_breaks_a_report(as_user: AsUser, work: Work) -> None:
    treasurer = as_user("treasurer", name="\ufdfa" * 80)
    for name, memo in zip(long_texts(80), long_texts(200), strict=True):
        member = as_user(name=name)
        given = treasurer.post("/api/v1/deposits", json={"user_id": member.user_id, "amount": 5})
        sent = {"receiver_id": treasurer.user_id, "amount": 5, "memo": memo}
        assert (given.status_code, member.post("/api/v1/transfers", json=sent).status_code) == (201, 201)
    for kind in ("statement", "community"):
        _, file = written(treasurer, work, kind=kind, format="pdf")
        assert pages(file.data) > 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zo\u00eb & Fran\u00e7ois", "Zo\u00eb & Fran\u00e7ois"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("\u0150rsi \u0395\u03bb \u0416\u0430", "\u0150rsi \u0395\u03bb \u0416\u0430"),
        ("\u5f20\u4f1f", "??"),
        ("a\u202e\u200bb", "ab"),
        ("\ufb01x", "\ufb01x"),
    ],
)
def test_a_letter_that_no_font_has_is_replaced(text: str, shown: str) -> None:
    fonts.load()
    assert fonts.shown(text) == shown


def test_a_pdf_tells_whose_it_is_and_not_how_it_was_made(market: Market, work: Work) -> None:
    _, file = written(market.bob, work, kind="statement", format="pdf")
    metadata = file.data[file.data.index(b"/Author") : file.data.index(b"/Trapped")]
    assert metadata.count(b"(Agora)") == 3
    assert b"Bob" in metadata
    assert b"ReportLab" not in metadata
    assert b"agora-job" not in file.data


@pytest.mark.parametrize("kind", ["statement", "sales", "community"])
@pytest.mark.parametrize("format_", ["csv", "json", "pdf"])
def test_the_same_period_is_the_same_file(market: Market, work: Work, kind: str, format_: str) -> None:
    asked = {"kind": kind, "format": format_, "until": "2024-06-01T00:00:00Z"}
    first, second = (written(market.treasurer, work, **asked)[1].data for _ in range(2))
    assert first == second


def test_an_empty_period_is_one_page(market: Market, work: Work) -> None:
    period = {"since": "2023-01-01T00:00:00Z", "until": "2023-02-01T00:00:00Z"}
    for kind in ("statement", "sales", "community"):
        _, file = written(market.treasurer, work, kind=kind, format="pdf", **period)
        assert pages(file.data) == 1


@pytest.fixture
def busy(app: Flask, as_user: AsUser) -> Any:
    """A member whose account has moved very often."""
    member = as_user("treasurer", name="Busy")
    now = clock.now()
    transfers = [{"kind": "deposit", "receiver_id": member.user_id, "amount": 1, "created_at": now}] * MANY

    def fill() -> None:
        accounts: list[dict[str, Any]] = [
            {"kind": "issuing", "user_id": None, "balance": -MANY},
            {"kind": "member", "user_id": member.user_id, "balance": MANY},
        ]
        db.session.execute(insert(Account), accounts)
        db.session.execute(insert(Transfer), transfers)
        rows: list[dict[str, Any]] = [
            {"transfer_id": n, "account_id": account, "amount": amount, "balance_after": n * amount, "created_at": now}
            for n in range(1, MANY + 1)
            for account, amount in ((1, -1), (2, 1))
        ]
        db.session.execute(insert(Entry), rows)

    with app.app_context():
        unit_of_work(fill)
    return member


@pytest.mark.parametrize("format_", ["csv", "json", "pdf"])
def test_twenty_thousand_entries_take_bounded_memory(
    busy: Any, work: Work, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    monkeypatch.setattr(shortened, "MAX_ROWS", 100)
    asked = {"kind": "statement", "format": format_}
    location = busy.post("/api/v1/reports", json=asked).headers["Location"]
    tracemalloc.start()
    work()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < MOST_MEMORY
    job = busy.get(location).get_json()
    assert (job["status"], job["result"]["rows"]) == ("succeeded", MANY)
    assert job["result"]["totals"]["closing_balance"] == MANY
    content = busy.get(job["result_url"]).data
    match format_:
        case "csv":
            assert content.count(b"\r\nentry,0.01,") == MANY
        case "json":
            assert content.count(b'"kind":"deposit"') == MANY
        case "pdf":
            assert 2 <= pages(content) <= 5
