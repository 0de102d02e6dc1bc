"""The index that a searched table has, as an operation of Alembic: ``op.create_search_index("posts")``.

On PostgreSQL it is an index of trigrams, which serves LIKE (https://www.postgresql.org/docs/current/pgtrgm.html). On
SQLite it is a virtual table beside the searched one, ``posts_search``, that holds what its table holds, whoever writes
there: triggers keep it (https://www.sqlite.org/fts5.html#external_content_tables).
"""

import sqlalchemy as sa
from alembic.operations import MigrateOperation, Operations
from click import ClickException

COLUMN = "search_text"
NO_TRIGRAMS = (
    "Searching needs PostgreSQL's own extension pg_trgm, and it cannot be made here: {reason} Install PostgreSQL's "
    "contrib modules, or let a superuser run CREATE EXTENSION pg_trgm in this database."
)
ON_SQLITE = (
    """CREATE VIRTUAL TABLE {table}_search
    USING fts5(search_text, content={table}, content_rowid=id, tokenize='trigram case_sensitive 1')""",
    """CREATE TRIGGER {table}_search_insert AFTER INSERT ON {table} BEGIN
        INSERT INTO {table}_search (rowid, search_text) VALUES (new.id, new.search_text);
    END""",
    """CREATE TRIGGER {table}_search_delete AFTER DELETE ON {table} BEGIN
        INSERT INTO {table}_search ({table}_search, rowid, search_text) VALUES ('delete', old.id, old.search_text);
    END""",
    """CREATE TRIGGER {table}_search_update AFTER UPDATE OF search_text ON {table} BEGIN
        INSERT INTO {table}_search ({table}_search, rowid, search_text) VALUES ('delete', old.id, old.search_text);
        INSERT INTO {table}_search (rowid, search_text) VALUES (new.id, new.search_text);
    END""",
    "INSERT INTO {table}_search ({table}_search) VALUES ('rebuild')",
)


def index_name(table: str) -> str:
    """Return the name of the index on PostgreSQL."""
    return f"ix_{table}_{COLUMN}"


def virtual_table(table: str) -> str:
    """Return the name of the virtual table on SQLite."""
    return f"{table}_search"


@Operations.register_operation("create_search_index")
class CreateSearchIndex(MigrateOperation):
    """Make the search index of a table that has a ``search_text``."""

    def __init__(self, table: str) -> None:
        self.table = table

    @classmethod
    def create_search_index(cls, operations: Operations, table: str) -> None:
        """Make the search index of ``table``. Raises ClickException where PostgreSQL lacks pg_trgm."""
        operations.invoke(cls(table))

    def reverse(self) -> "DropSearchIndex":
        """Return the operation that undoes this one."""
        return DropSearchIndex(self.table)


@Operations.register_operation("drop_search_index")
class DropSearchIndex(MigrateOperation):
    """Remove the search index of a table."""

    def __init__(self, table: str) -> None:
        self.table = table

    @classmethod
    def drop_search_index(cls, operations: Operations, table: str) -> None:
        """Remove the search index of ``table``."""
        operations.invoke(cls(table))

    def reverse(self) -> CreateSearchIndex:
        """Return the operation that undoes this one."""
        return CreateSearchIndex(self.table)


@Operations.implementation_for(CreateSearchIndex)
def _create(operations: Operations, operation: CreateSearchIndex) -> None:
    table = operation.table
    if operations.get_bind().dialect.name == "sqlite":
        for statement in ON_SQLITE:
            operations.execute(statement.format(table=table))
        return
    try:
        operations.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except sa.exc.DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise ClickException(NO_TRIGRAMS.format(reason=f"{reason}.")) from None
    trigrams = {COLUMN: "gin_trgm_ops"}
    operations.create_index(index_name(table), table, [COLUMN], postgresql_using="gin", postgresql_ops=trigrams)


@Operations.implementation_for(DropSearchIndex)
def _drop(operations: Operations, operation: DropSearchIndex) -> None:
    table = operation.table
    if operations.get_bind().dialect.name == "postgresql":
        operations.drop_index(index_name(table), table)  # The extension may serve others, too.
        return
    for change in ("insert", "delete", "update"):
        operations.execute(f"DROP TRIGGER IF EXISTS {virtual_table(table)}_{change}")
    operations.execute(f"DROP TABLE {virtual_table(table)}")
