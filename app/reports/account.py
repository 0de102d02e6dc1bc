"""All that the service holds about a member, in the shapes of the API; read and written a page at a time."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from app.audit import service as audit
from app.audit.models import AuditRecord
from app.audit.schemas import AuditRecordSchema
from app.auth.models import Session
from app.auth.schemas import SessionSchema
from app.auth.sessions import list_sessions
from app.core.caller import Caller
from app.core.db.base import Created, Parts, Query, Record, table_of
from app.core.representation import dump, dump_all
from app.core.schema import Schema
from app.files.models import File
from app.files.schemas import FileSchema
from app.files.service import list_files
from app.imports.models import Import
from app.imports.schemas import ImportedFileSchema
from app.jobs import service as jobs
from app.jobs.models import Job
from app.jobs.schemas import JobSchema
from app.notifications import service as notifications
from app.notifications.models import Notification
from app.notifications.schemas import NotificationSchema
from app.orders.models import Order
from app.orders.schemas import OrderSchema
from app.orders.service import list_orders, with_lines
from app.posts.models import Post
from app.posts.schemas import PostSchema
from app.posts.service import list_posts
from app.products.models import Product
from app.products.schemas import ProductSchema
from app.products.service import list_products_of
from app.reports.as_json import write_object
from app.reports.content import ACCOUNT, Progress, pages
from app.todos.models import Todo
from app.todos.schemas import TodoSchema
from app.todos.service import list_todos
from app.users.schemas import AccountSchema
from app.users.service import get_user
from app.wallet.models import Transfer
from app.wallet.schemas import TransferSchema, WalletSchema
from app.wallet.service import get_wallet, list_transfers

PAGE_SIZE = 100  # rows that are read at once: the content of a post may have 50,000 characters


@dataclass(frozen=True)
class Section:
    """A list of the report: its name, how an item is shown, its table, and the query of the member's rows.

    ``extend`` gives the items for the rows of a page, as that of a Listing does.
    """

    name: str
    schema: type[Schema]
    model: type[Created]
    rows: Callable[[Caller], Query | Parts]
    extend: Callable[[Sequence[Record], Mapping[str, Any]], Sequence[Any]] | None = None


def _imports(member: Caller) -> Query:
    return select(table_of(Import)).where(Import.user_id == member.id)


SECTIONS = (
    Section("posts", PostSchema, Post, lambda member: list_posts(member).where(Post.user_id == member.id)),
    Section("todos", TodoSchema, Todo, list_todos),
    Section("products", ProductSchema, Product, lambda member: list_products_of(member.member_id)),
    Section("orders", OrderSchema, Order, list_orders, with_lines),
    Section("transfers", TransferSchema, Transfer, list_transfers),
    Section("files", FileSchema, File, list_files),
    Section(
        "imports",
        ImportedFileSchema,
        Import,
        _imports,
    ),
    Section("jobs", JobSchema, Job, jobs.list_jobs, jobs.all_shown),
    Section(
        "notifications",
        NotificationSchema,
        Notification,
        notifications.list_notifications,
        notifications.all_shown,
    ),
    Section("sessions", SessionSchema, Session, lambda member: list_sessions(member, member.member_id)),
    Section("audit", AuditRecordSchema, AuditRecord, audit.list_audit, audit.all_shown),
)


def write(member: Caller, path: Path, progress: Progress) -> dict[str, int]:
    """Write all about ``member`` to ``path`` as JSON, and return how many items each list has."""
    written: Counter[str] = Counter({section.name: 0 for section in SECTIONS})
    head = {
        "kind": ACCOUNT,
        "user": dump(AccountSchema, get_user(member, member.member_id), member),
        "wallet": dump(WalletSchema, get_wallet(member.member_id), member),
    }
    write_object(head, {section.name: _items(section, member, progress, written) for section in SECTIONS}, path)
    return dict(written)


def _items(section: Section, member: Caller, progress: Progress, written: Counter[str]) -> Iterator[dict[str, Any]]:
    """Return the items of a section, the oldest first in each part of its query."""
    query = section.rows(member)
    for part in query if isinstance(query, tuple) else (query,):
        for page in pages(part, section.model.created_at, section.model.id, progress=progress, size=PAGE_SIZE):
            extended = section.extend(page, {}) if section.extend else page
            yield from dump_all(section.schema, extended, member)
            written[section.name] += len(page)
