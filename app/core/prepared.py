"""Prepared statements: what is asked all the time is parsed and planned once for each connection, not each time.

psycopg2 has no interface for them, so they are named in SQL: https://www.postgresql.org/docs/current/sql-prepare.html.
sqlite3 keeps statements of itself.

Only for statements whose best plan is the same for all values, as where a row is found by its key.
"""

import re
from itertools import count
from typing import Any, NamedTuple, TypeVar
from weakref import WeakSet

from sqlalchemy import Executable, String
from sqlalchemy.types import NullType

KNOWN = "prepared_statements"  # in a connection's info: the names of what it has prepared
PARAMETER = re.compile(r"%\((\w+)\)s")
# feature_not_supported: a migration has changed the type of a column that a statement gives.
# invalid_sql_statement_name, duplicate_prepared_statement: the connection has forgotten one, or knows one more.
OUT_OF_STEP = ("0A000", "26000", "42P05")

Statement = TypeVar("Statement", bound=Executable)


class _Prepared(NamedTuple):
    name: str
    prepare: str
    execute: str


_statements: "WeakSet[Executable]" = WeakSet()
_numbers = count(1)
_written: dict[str, _Prepared] = {}


def prepared(statement: Statement) -> Statement:
    """Give ``statement``, to be prepared by each connection that it is sent on; what is made of it is another one.

    There may be some dozens of them: each takes some 50 kB of each connection in the server's memory.
    """
    _statements.add(statement)
    return statement


def is_prepared(statement: Executable) -> bool:
    """Tell whether ``statement`` is a prepared one."""
    return statement in _statements


def send(cursor: Any, statement: str, parameters: Any, context: Any) -> None:
    """Send a statement to the database, if it is a prepared one by its name."""
    if context.dialect.name != "postgresql" or context.invoked_statement not in _statements:
        cursor.execute(statement, parameters)
        return
    written = _written.get(statement) or _write(statement, context)
    known = context.root_connection.info.setdefault(KNOWN, set())
    if written.name not in known:
        cursor.execute(written.prepare)
        known.add(written.name)
    cursor.execute(written.execute, parameters)


def _write(statement: str, context: Any) -> _Prepared:
    """Write the statement as PREPARE takes it: with numbers for its parameters, and their types."""
    places: dict[str, int] = {}

    def place(found: re.Match[str]) -> str:
        return f"${places.setdefault(found[1], len(places) + 1)}"

    body = PARAMETER.sub(place, statement).replace("%%", "%")
    types, values = (
        f" ({', '.join(each)})" if places else ""
        for each in ([_type(context, name) for name in places], [f"%({name})s" for name in places])
    )
    name = f"agora_{next(_numbers)}"
    return _written.setdefault(
        statement, _Prepared(name, f"PREPARE {name}{types} AS {body}", f"EXECUTE {name}{values}")
    )


def _type(context: Any, parameter: str) -> str:
    """Give the type of a parameter; ``unknown`` leaves it to PostgreSQL to find out."""
    bound = context.compiled.binds.get(parameter)
    if bound is None or isinstance(bound.type, NullType):
        return "unknown"
    if isinstance(bound.type, String):
        return "text"  # Its own would name a collation.
    return str(context.dialect.type_compiler_instance.process(bound.type))


def replace_if_out_of_step(context: Any) -> None:
    """Have all connections replaced when a prepared statement is not what it was; the request is a 503."""
    if getattr(context.original_exception, "pgcode", None) in OUT_OF_STEP:
        context.is_disconnect = True
