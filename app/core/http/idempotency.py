"""Idempotency keys: a POST that is repeated with its key has one effect, and the same answer each time.

Effect, key and stored answer are one transaction. Of two with the same key, one waits, for what the other has locked or
at the latest at the key's unique index, until the other has ended; then it is undone, and gives the other's answer.
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from flask import Response, current_app, request
from sqlalchemy import ForeignKey, Index, SmallInteger, Text, UniqueConstraint, bindparam, delete, select
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.dml import ReturningInsert

from app.core import clock
from app.core.caller import Caller
from app.core.db.base import NEVER_REUSE_IDS, Base, table_of, text_type
from app.core.db.prepared import prepared
from app.core.errors import (
    TRY_AGAIN,
    AppError,
    Conflict,
    ServiceUnavailable,
    Unprocessable,
    ValidationFailed,
)
from app.core.http.error_handler import broken_constraint
from app.core.unit_of_work import execute, flush, insert_on_conflict, rows_of, start_over
from app.extensions import db

HEADER = "Idempotency-Key"
ENVIRON = "HTTP_IDEMPOTENCY_KEY"  # as WSGI calls it
REPLAYED = {"Idempotent-Replayed": "true"}
LIFETIME = timedelta(hours=24)
KEY_LENGTH = 255
PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")
WAITED_IN_VAIN = ("55P03", "57014")  # lock_not_available and query_canceled: by whichever limit it was
KEPT_HEADERS = ("Location", "ETag", "Retry-After")


class IdempotencyKey(Base):
    """A key that a caller has used for a method and path, the request it was used for, and the answer."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        UniqueConstraint("user_id", "method", "path", "key"),
        Index(None, "created_at"),
        NEVER_REUSE_IDS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    method: Mapped[str] = mapped_column(text_type(10))
    path: Mapped[str] = mapped_column(text_type(255))
    key: Mapped[str] = mapped_column(text_type(KEY_LENGTH))
    request_hash: Mapped[str] = mapped_column(text_type(64))
    created_at: Mapped[datetime]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    body: Mapped[str | None] = mapped_column(Text)
    headers: Mapped[str | None] = mapped_column(Text)


KEYS = table_of(IdempotencyKey)
SAME_KEY = ("user_id", "method", "path", "key")
KEPT = select(KEYS.c.request_hash, KEYS.c.status, KEYS.c.body, KEYS.c.headers).where(
    *(KEYS.c[name] == bindparam(name) for name in SAME_KEY), KEYS.c.created_at > bindparam("expired")
)


def sent_key() -> str | None:
    """Return the request's key, or None. Raises ValidationFailed for one that is empty, too long or not printable."""
    key = request.environ.get(ENVIRON)
    if key is not None and not PRINTABLE.fullmatch(key):
        raise ValidationFailed(errors={HEADER: [f"Must be 1 to {KEY_LENGTH} printable ASCII characters."]})
    return key


def request_hash(body: Any) -> str:
    """Return what makes two requests the same: their queries and the JSON values of their bodies."""
    query = sorted(request.args.items(multi=True))
    return sha256(json.dumps([query, body], sort_keys=True).encode()).hexdigest()


def once(key: str, body: Any, effect: Callable[[], Response], *, caller: Caller) -> Response:
    """Run ``effect`` unless it was run for ``key`` before; then give the answer of that time.

    Takes the JSON ``body`` of the request. Runs inside a unit of work. Nearly every key is new, so the effect comes
    first, and is undone if its key turns out to have been used. A 409 is an answer that is kept; all other refusals
    leave the key as it was. Raises Unprocessable for a key that was used for another request, Conflict when the first
    request does not end in time.
    """
    now = clock.now()
    row = {
        "user_id": caller.member_id,
        "method": request.method,
        "path": request.path.rstrip("/"),
        "key": key,
        "request_hash": request_hash(body),
        "created_at": now,
        "expired": now - LIFETIME,
    }
    try:
        response = effect()
        flush()
    except (AppError, DBAPIError) as error:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise
        start_over()
        return _replay(row) or _refuse(row, error)
    kept = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    if _keep(row, response.status_code, response.get_data(as_text=True), kept):
        return response
    start_over()
    return _known(row)


def _refuse(row: dict[str, Any], error: AppError | DBAPIError) -> Response:
    """Raise the ``error`` of a first request; a 409 is kept. A repeat may have been faster, and had more luck."""
    refusal = broken_constraint(error) if isinstance(error, IntegrityError) else error
    if isinstance(refusal, Conflict):
        told = {"message": refusal.message, "code": refusal.code, "errors": refusal.errors}
        if not _keep(row, refusal.status, json.dumps(told), {}):
            return _known(row)
        refusal.keeps_changes = True
    raise refusal from None


def _keep(row: dict[str, Any], status: int, body: str, headers: dict[str, str]) -> bool:
    """Keep an answer for its key, and return whether the key was free; one that has expired is taken over."""
    answer = {"status": status, "body": body, "headers": json.dumps(headers)}
    with _waiting_for_the_key():
        return execute(_keeping(db.engine.dialect.name), {**row, **answer}).scalar() is not None


@cache
def _keeping(_dialect: str) -> ReturningInsert[int]:
    new = insert_on_conflict(IdempotencyKey)
    taken_over = new.on_conflict_do_update(
        index_elements=SAME_KEY,
        set_={name: new.excluded[name] for name in ("request_hash", "created_at", "status", "body", "headers")},
        where=KEYS.c.created_at <= bindparam("expired"),
    )
    return prepared(taken_over.returning(KEYS.c.id))


@contextmanager
def _waiting_for_the_key() -> Iterator[None]:
    """Refuse a request while another one with its key is under way; it may be sent again with the same key.

    Who waits in vain for anything else is told 503. On SQLite that is everyone, since whoever writes is waited for.
    """
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "pgcode", None) not in WAITED_IN_VAIN:
            raise
        raise Conflict(
            "The first request with this key is still under way.",
            code="idempotency_in_progress",
            headers=TRY_AGAIN,
        ) from None


def _replay(row: dict[str, Any]) -> Response | None:
    """Return the answer that is kept for a key, None if there is none. Raises Conflict if it is one."""
    kept = execute(KEPT, row).one_or_none()
    if kept is None:
        return None
    if kept.request_hash != row["request_hash"]:
        raise Unprocessable("This key was used before, with another request.", code="idempotency_mismatch")
    if kept.status == Conflict.status:
        raise Conflict(**json.loads(kept.body), headers=REPLAYED)
    headers = json.loads(kept.headers) | REPLAYED
    response: Response = current_app.response_class(kept.body, kept.status, headers, mimetype="application/json")
    return response


def _known(row: dict[str, Any]) -> Response:
    """Return the answer that is kept for a key that was taken a moment ago."""
    response = _replay(row)
    if response is None:
        raise ServiceUnavailable
    return response


def forget(user_id: int) -> None:
    """Erase the stored answers of a member."""
    db.session.execute(delete(IdempotencyKey).where(IdempotencyKey.user_id == user_id))


def purge() -> int:
    """Erase the keys that have expired, and return their number."""
    expired = IdempotencyKey.created_at <= clock.now() - LIFETIME
    return rows_of(delete(IdempotencyKey).where(expired))
