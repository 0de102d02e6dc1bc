"""The ledger: append-only, and verified."""

import pytest
from flask import Flask
from sqlalchemy import insert, text, update
from sqlalchemy.exc import DBAPIError

from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.wallet import verification
from app.wallet.models import Account, Entry, Transfer
from tests.conftest import AsUser
from tests.wallet.test_wallet import check_books, fund


@pytest.mark.parametrize("table", ["transfers", "entries"])
@pytest.mark.parametrize("change", ["UPDATE {} SET amount = 2", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_change_the_books(app: Flask, as_user: AsUser, table: str, change: str) -> None:
    fund(as_user("treasurer"), as_user(), 10)
    with app.app_context(), pytest.raises(DBAPIError, match="append-only"):
        unit_of_work(lambda: db.session.execute(text(change.format(table))))


def test_no_balance_but_the_issuing_one_goes_below_zero_whoever_asks(app: Flask, as_user: AsUser) -> None:
    fund(as_user("treasurer"), as_user(), 10)
    with app.app_context(), pytest.raises(DBAPIError, match="balance_not_negative"):
        unit_of_work(lambda: db.session.execute(update(Account).where(Account.kind == "member").values(balance=-1)))


def test_an_account_that_does_not_fit_is_named(app: Flask, as_user: AsUser) -> None:
    treasurer, member = as_user("treasurer"), as_user()
    fund(treasurer, member, 10)
    check_books(treasurer)
    with app.app_context():
        unit_of_work(lambda: db.session.execute(update(Account).where(Account.kind == "member").values(balance=12)))
    ledger = treasurer.get("/api/v1/ledger").get_json()
    assert (ledger["balanced"], ledger["sum"]) == (False, 2)
    assert [(wrong["balance"], wrong["computed"]) for wrong in ledger["mismatches"]] == [(12, 10)]


@pytest.mark.parametrize("amounts", [[], [5], [5, -4]])
def test_a_transfer_whose_entries_are_not_two_that_sum_to_zero_is_noticed(
    app: Flask, as_user: AsUser, amounts: list[int]
) -> None:
    treasurer, member = as_user("treasurer"), as_user()
    fund(treasurer, member, 10)
    ids = sorted(wrong["account_id"] for wrong in _accounts(app))

    def forge() -> None:
        transfer = db.session.execute(
            insert(Transfer).values(kind="deposit", amount=5).returning(Transfer.id)
        ).scalar_one()
        for account_id, amount in zip(ids, amounts, strict=False):
            entry = {"transfer_id": transfer, "account_id": account_id, "amount": amount, "balance_after": 0}
            db.session.execute(insert(Entry).values(entry))

    with app.app_context():
        unit_of_work(forge)
    assert treasurer.get("/api/v1/ledger").get_json()["balanced"] is False


def _accounts(app: Flask) -> list[dict[str, int]]:
    with app.app_context():
        return [{"account_id": account_id} for account_id in db.session.scalars(db.select(Account.id))]


def test_a_long_ledger_is_verified_batch_by_batch_and_its_result_stored(
    app: Flask, as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    treasurer, member = as_user("treasurer"), as_user()
    for _ in range(5):
        fund(treasurer, member, 10)
    now = check_books(treasurer)
    monkeypatch.setattr(verification, "BATCH_SIZE", 2)
    steps: list[int] = []
    with app.app_context():
        result = unit_of_work(lambda: verification.verify_ledger(steps.append), snapshot=True)
    assert len(steps) == 3
    assert (result["balanced"], result["entries"], result["issued"]) == (True, 10, 50)
    assert {**now, "as_of": ""} == {**result, "as_of": ""}

    fund(treasurer, member, 10)
    monkeypatch.setattr(verification, "MAX_ENTRIES_PER_REQUEST", 3)
    assert check_books(treasurer)["issued"] == 50  # the stored result
