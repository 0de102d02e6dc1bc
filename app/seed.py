"""Demo data: a market worth a first look, and as many rows as a load test wants. The same every time."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from app.core import clock
from app.core.background import outbox
from app.core.caller import Caller
from app.core.db.base import Base
from app.core.permissions import ROLES
from app.core.unit_of_work import unit_of_work
from app.extensions import db
from app.jobs.models import Job
from app.notifications.service import EMAIL
from app.orders import service as orders
from app.posts.models import Post
from app.products.models import Product
from app.todos.models import Todo
from app.users.models import User, email_key
from app.users.passwords import hash_password
from app.wallet.models import ISSUING, MEMBER, Account, Entry, Memo, Transfer

PASSWORD = "Agora-demo-1"
MEMBERS = {f"{role}@example.com": role for role in ("member", "moderator", "treasurer", "admin")}

MONTHS = timedelta(days=180)
BATCH_SIZE = 5_000  # rows
DEPOSIT = 50_000  # minor units

POSTS = (
    ("Welcome to the community", "Say who you are, what you offer and what you look for."),
    ("Tool library opens on Saturday", "Drills, ladders and a sewing machine are there to be borrowed."),
    ("Surplus tomatoes", "The garden has given more than we can eat. Come by with a basket."),
    ("Bicycle workshop", "Bring what squeaks. Spare parts are paid for in credits."),
    ("Looking for a piano teacher", "An hour a week, for a patient beginner."),
    ("How credits work", "They are issued by the treasurer, and earned by doing something for somebody."),
)
TODOS = (("Read the documentation at /docs", True), ("Write a first post", False), ("Invite a neighbour", False))
PRODUCTS = (
    ("Sourdough bread", "A kilogram, baked on Fridays. Bring a cloth bag.", 450),
    ("Honey from the roof", "500 g of last summer, from the bees above the library.", 700),
    ("Bicycle check", "Brakes, gears and lights are looked at and adjusted.", 1_500),
    ("Guitar lesson", "45 minutes, for beginners of any age.", 2_000),
    ("Jar of plum jam", "Little sugar, many plums.", 300),
    ("Garden help", "Two hours of weeding, pruning or carrying.", 2_400),
    ("Knitted cap", "Wool, in blue or grey. Say which you want.", 1_800),
    ("Moving box", "Used once, folds flat.", 100),
)
MEMOS = ("Thank you!", "For the bread", "Rent of the hall", "Repair", "Lesson", "")


@dataclass(frozen=True)
class Size:
    """How many members, posts and transfers to create."""

    members: int = 30
    posts: int = 24
    transfers: int = 200

    @property
    def rows(self) -> int:
        """How many rows a progress bar counts."""
        return self.members + self.posts + self.transfers


def fill(size: Size, progress: Callable[[int], None]) -> None:
    """Fill an empty database with demo data.

    ``progress`` is called with the number of rows after each batch. Runs inside a unit of work.
    """
    chance = random.Random(size.members)  # noqa: S311
    user_ids = _create_members(size.members, progress)
    _insert(Post, _posts(user_ids, size.posts, chance), progress)
    _insert(Todo, ({"user_id": user_ids[0], "task": task, "done": done} for task, done in TODOS))
    _insert(Product, _products(user_ids[: len(PRODUCTS)]))
    _Ledger(user_ids, chance).write(size.transfers, progress)
    for model in (Account, Transfer):
        _advance_sequence(model.__tablename__)
    _create_orders(user_ids)


def deliver_notifications() -> None:
    """Notify the demo members of their orders, but by no mail: the first ``make run`` would print all of them.

    Runs outside of a unit of work.
    """
    outbox.deliver_all()
    unit_of_work(lambda: db.session.execute(delete(Job).where(Job.kind == EMAIL)))


def _create_members(number: int, progress: Callable[[int], None]) -> list[int]:
    password_hash = hash_password(PASSWORD)
    named = [(email, f"Demo {role}", role) for email, role in MEMBERS.items()]
    more = ((f"member{n}@example.com", f"Demo member {n}", "member") for n in range(1, number - len(named) + 1))
    rows = (
        {"email": email, "email_key": email_key(email), "name": name, "role": role, "password_hash": password_hash}
        for email, name, role in [*named, *more]
    )
    _insert(User, rows, progress)
    return list(db.session.scalars(select(User.id).order_by(User.id)))


def _posts(user_ids: list[int], number: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    now = clock.now()
    for n in range(number):
        title, content = POSTS[n % len(POSTS)]
        written = now - MONTHS * (number - n) / number
        yield {"user_id": chance.choice(user_ids), "title": title, "content": content, "created_at": written}


def _products(seller_ids: list[int]) -> Iterator[dict[str, Any]]:
    for seller_id, (name, description, price) in zip(seller_ids, PRODUCTS, strict=False):
        yield {"seller_id": seller_id, "name": name, "description": description, "price": price, "stock": 20}


@dataclass
class _Ledger:
    """Deposits and transfers of half a year, with the entries and balances that they add up to."""

    user_ids: list[int]
    chance: random.Random
    balances: dict[int, int] = field(default_factory=dict)

    def write(self, transfers: int, progress: Callable[[int], None]) -> None:
        """Write the accounts, one deposit for each member, and so many transfers between them."""
        self.accounts = dict(zip(self.user_ids, range(2, len(self.user_ids) + 2), strict=True))
        members = [{"id": n, "kind": MEMBER, "user_id": user_id} for user_id, n in self.accounts.items()]
        _insert(Account, iter([{"id": 1, "kind": ISSUING, "user_id": None}, *members]))
        rows_of_each = self._transfers(transfers)
        while batch := list(islice(rows_of_each, BATCH_SIZE)):
            for model in (Transfer, Entry, Memo):
                rows = [row for made in batch for row in made[model]]
                if rows:
                    db.session.execute(insert(model), rows)
            progress(sum(made[Transfer][0]["kind"] != "deposit" for made in batch))
        balances = [{"id": account, "balance": balance} for account, balance in self.balances.items()]
        db.session.bulk_update_mappings(Account.__mapper__, balances)

    def _transfers(self, transfers: int) -> Iterator[dict[Any, list[dict[str, Any]]]]:
        number = len(self.user_ids) + transfers
        begin = clock.now() - MONTHS
        for n in range(number):
            moment = begin + MONTHS * n / number
            if n < len(self.user_ids):
                yield self._transfer(n + 1, "deposit", None, self.user_ids[n], DEPOSIT, moment)
            else:
                sender, receiver = self.chance.sample(self.user_ids, 2)
                most = self.balances[self.accounts[sender]] // 10
                kind = "transfer" if most else "deposit"
                amount = self.chance.randint(1, most) if most else DEPOSIT
                yield self._transfer(n + 1, kind, sender if most else None, receiver, amount, moment)

    def _transfer(
        self, transfer_id: int, kind: str, sender: int | None, receiver: int, amount: int, moment: datetime
    ) -> dict[Any, list[dict[str, Any]]]:
        transfer = {"id": transfer_id, "kind": kind, "sender_id": sender, "receiver_id": receiver, "amount": amount}
        entries = []
        for account, change in ((self.accounts[sender] if sender else 1, -amount), (self.accounts[receiver], amount)):
            self.balances[account] = self.balances.get(account, 0) + change
            entry = {"transfer_id": transfer_id, "account_id": account, "amount": change, "created_at": moment}
            entries.append({**entry, "balance_after": self.balances[account]})
        memo = self.chance.choice(MEMOS) if sender else ""
        memos = [{"transfer_id": transfer_id, "text": memo}] if memo else []
        return {Transfer: [{**transfer, "created_at": moment}], Entry: entries, Memo: memos}


def _create_orders(user_ids: list[int]) -> None:
    """Place an order of each product, complete a third of them and cancel another, by the rules of orders."""
    products = db.session.execute(select(Product.id, Product.seller_id).order_by(Product.id)).all()
    for number, product in enumerate(products):
        buyer_id = user_ids[-1 - number] if user_ids[-1 - number] != product.seller_id else user_ids[number - 1]
        buyer = Caller(buyer_id, role="member", permissions=ROLES["member"])
        placed = orders.create_order(buyer, lines=[{"product_id": product.id, "quantity": 1}])
        order = orders.open_order(buyer, placed["id"])
        if number % 3 == 0:
            orders.complete_order(buyer, order)
        elif number % 3 == 1:
            orders.cancel_order(buyer, order)


def _insert(
    model: type[Base], rows: Iterator[dict[str, Any]], progress: Callable[[int], None] = lambda _rows: None
) -> None:
    while batch := list(islice(rows, BATCH_SIZE)):
        db.session.execute(insert(model), batch)
        progress(len(batch))


def _advance_sequence(table: str) -> None:
    """Move PostgreSQL's sequence past the ids that were inserted; SQLite does so of itself."""
    if db.engine.dialect.name == "postgresql":
        db.session.execute(text(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))"))


def is_empty() -> bool:
    """Return whether the database has no members."""
    return not db.session.scalar(select(func.count()).select_from(select(User.id).limit(1).subquery()))


def is_present() -> bool:
    """Return whether the demo members can sign in."""
    first = email_key(next(iter(MEMBERS)))
    try:
        return db.session.scalar(select(User.id).where(User.email_key == first)) is not None
    except DBAPIError:
        return False  # A database that is away or not migrated has none.
