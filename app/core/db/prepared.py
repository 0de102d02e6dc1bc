"""Prepared statements: what is asked all the time is parsed and planned once for each connection, not each time.

psycopg2 has no interface for them, so they are named in SQL: https://www.postgresql.org/docs/current/sql-prepare.html.
sqlite3 keeps statements of itself. ``PREPARED_STATEMENTS=false`` leaves all of it to SQLAlchemy; what it buys stands in
docs/decisions/0002-prepared-statements.md.

Only for statements whose best plan is the same for all values, as where a row is found by its key.

Such a statement goes past SQLAlchemy, which makes its text but takes longer to send it than psycopg2 and PostgreSQL do
together. An error is given to SQLAlchemy, which knows what becomes of it and of the connection.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from itertools import count
from time import perf_counter
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from psycopg2 import Error
from sqlalchemy import BindParameter, Column, Connection, Dialect, Engine, Executable, Result, String, event
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.types import NullType

from app.core.db import query_stats

KNOWN = "prepared_statements"  # in a connection's info: the names of what it has prepared
PARAMETER = re.compile(r"%\((\w+)\)s")
# feature_not_supported: a migration has changed the type of a column that a statement gives.
# invalid_sql_statement_name, duplicate_prepared_statement: the connection has forgotten one, or knows one more.
OUT_OF_STEP = ("0A000", "26000", "42P05")

Statement = TypeVar("Statement", bound=Executable)


class _Prepared(NamedTuple):
    """A statement as PREPARE and EXECUTE take it."""

    name: str
    prepare: str
    execute: str


class _Plan(NamedTuple):
    """What it takes to send a statement, and to name the rows that come back."""

    written: _Prepared
    values: Mapping[str, Any]  # that are part of the statement, by parameter
    defaults: Sequence[Column[Any]]  # the columns that an INSERT has no values for
    converters: Mapping[str, Callable[[Any], Any]]  # by parameter
    columns: SimpleResultMetaData
    needed: frozenset[str]  # the parameters that it takes
    exactly: bool  # and no others: an INSERT has defaults for those columns


# A plan does not refer to its statement, so that both are gone when nobody else does.
_plans: "WeakKeyDictionary[Executable, _Plan | None]" = WeakKeyDictionary()
_numbers = count(1)
_written: dict[str, _Prepared] = {}
_preparing: "WeakSet[Engine]" = WeakSet()  # the engines that prepare statements


def prepared(statement: Statement) -> Statement:
    """Return ``statement``, to be prepared by each connection that it is sent on; what is made of it is another one.

    There may be some dozens of them: each takes some 50 kB of each connection in the server's memory.
    """
    _plans.setdefault(statement, None)
    return statement


def is_prepared(statement: Executable) -> bool:
    """Return whether ``statement`` is a prepared one."""
    return statement in _plans


def execute(connection: Connection, statement: Executable, values: Any = None) -> Result[Any]:
    """Execute a statement, a prepared one past SQLAlchemy."""
    is_one = statement in _plans and not isinstance(values, list)
    if not is_one or connection.engine not in _preparing or _is_heard(connection):
        return connection.execute(statement, values)
    given = values or {}
    plan = _plans[statement] or _plan(statement, connection.dialect, given)
    if not (given.keys() == plan.needed if plan.exactly else given.keys() >= plan.needed):
        return connection.execute(statement, values)
    return _go_past(connection, plan, given)


def _is_heard(connection: Connection) -> bool:
    """Return whether somebody listens to what SQLAlchemy sends, as traces and logs of statements do."""
    return connection._has_events or connection.engine._has_events or connection._echo


def _go_past(connection: Connection, plan: _Plan, values: Mapping[str, Any]) -> Result[Any]:
    parameters = _parameters(plan, values)
    if not connection.in_transaction():
        connection.begin()
    started = perf_counter()
    try:
        with closing(connection.connection.cursor()) as cursor:
            _send(cursor, plan.written, parameters, connection.info)
            rows = cursor.fetchall() if cursor.description else []
    except BaseException as error:
        text = plan.written.prepare if isinstance(error, Error) else None  # Any error with a text would be wrapped.
        connection._handle_dbapi_exception(error, text, parameters, None, None)
    finally:
        query_stats.record(started)
    return IteratorResult(plan.columns, iter(rows))


def _parameters(plan: _Plan, values: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {**plan.values, **values}
    for column in plan.defaults:
        default: Any = column.default
        parameters[column.key] = default.arg(_Row(parameters)) if default.is_callable else default.arg
    for name, convert in plan.converters.items():
        parameters[name] = convert(parameters[name])
    return parameters


class _Row(NamedTuple):
    """A row that is about to be written, as the context that a column's default is called with."""

    values: dict[str, Any]

    def get_current_parameters(self) -> dict[str, Any]:
        return self.values


def _plan(statement: Any, dialect: Dialect, values: Mapping[str, Any]) -> _Plan:
    """Plan a statement once for all. Its columns have names, and types that psycopg2 gives as they are shown."""
    given = frozenset(values) if statement.is_insert else None
    compiled = statement.compile(dialect=dialect, column_keys=given)
    own = {name: bound.effective_value for name, bound in compiled.binds.items() if not bound.required}
    types = {name: bound.type.dialect_impl(dialect) for name, bound in compiled.binds.items()}
    converters = {name: convert for name, kind in types.items() if (convert := kind.bind_processor(dialect))}
    columns = statement.exported_columns
    if any(column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns):
        raise TypeError("A prepared statement has a column that SQLAlchemy has to convert.")
    plan = _plans[statement] = _Plan(
        written=_write(str(compiled), compiled, dialect),
        values=own,
        defaults=compiled.insert_prefetch,
        converters=converters,
        columns=SimpleResultMetaData(columns.keys()),
        needed=frozenset(compiled.binds) - own.keys() if given is None else given,
        exactly=given is not None,
    )
    return plan


def watch(engine: Engine, *, prepares: bool) -> None:
    """Count what is sent by ``engine``, by one event around a statement: a pair before and after it costs twice.

    With ``prepares``, what is marked as prepared is; only PostgreSQL has that in SQL.
    """
    if prepares and engine.dialect.name == "postgresql":
        _preparing.add(engine)
    event.listen(engine, "do_execute", _execute)
    event.listen(engine, "do_executemany", _execute_many)


def _execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    started = perf_counter()
    try:
        if context.invoked_statement in _plans and context.root_connection.engine in _preparing:
            written = _write(statement, context.compiled, context.dialect)
            _send(cursor, written, parameters, context.root_connection.info)
        else:
            cursor.execute(statement, parameters)
    finally:
        query_stats.record(started)
    return True  # It is done, and not left to SQLAlchemy, which would do the same.


def _execute_many(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    started = perf_counter()
    try:
        context.dialect.do_executemany(cursor, statement, parameters, context)
    finally:
        query_stats.record(started)
    return True


def _send(cursor: Any, written: _Prepared, parameters: Any, info: dict[Any, Any]) -> None:
    """Send a statement by its name, which the connection may have to learn first."""
    known = info.setdefault(KNOWN, set())
    if written.name not in known:
        cursor.execute(written.prepare)
        known.add(written.name)
    cursor.execute(written.execute, parameters)


def _write(statement: str, compiled: Any, dialect: Dialect) -> _Prepared:
    """Write the statement as PREPARE takes it: with numbers for its parameters, and their types."""
    if statement in _written:
        return _written[statement]
    places: dict[str, int] = {}

    def place(found: re.Match[str]) -> str:
        return f"${places.setdefault(found[1], len(places) + 1)}"

    body = PARAMETER.sub(place, statement).replace("%%", "%")
    types, values = (
        f" ({', '.join(each)})" if places else ""
        for each in ([_type(compiled.binds.get(name), dialect) for name in places], [f"%({name})s" for name in places])
    )
    name = f"agora_{next(_numbers)}"
    return _written.setdefault(
        statement, _Prepared(name, f"PREPARE {name}{types} AS {body}", f"EXECUTE {name}{values}")
    )


def _type(bound: BindParameter[Any] | None, dialect: Dialect) -> str:
    """Return the type of a parameter; ``unknown`` leaves it to PostgreSQL to find out."""
    if bound is None or isinstance(bound.type, NullType):
        return "unknown"
    if isinstance(bound.type, String):
        return "text"  # Its own would name a collation.
    return str(dialect.type_compiler_instance.process(bound.type))


def replace_broken(context: Any) -> None:
    """Have connections replaced that are of no more use; the request is a 503.

    All of them, when a prepared statement is not what it was. One, when psycopg2 has closed it, which it does when
    anything is raised while it waits.
    """
    if getattr(context.original_exception, "pgcode", None) in OUT_OF_STEP:
        context.is_disconnect = True
    elif not context.is_disconnect and _is_closed(context.connection):
        context.is_disconnect, context.invalidate_pool_on_disconnect = True, False


def _is_closed(connection: Connection | None) -> bool:
    if connection is None or connection.invalidated:
        return False
    return bool(getattr(connection.connection.dbapi_connection, "closed", False))
