"""search and sorting by index

Revises: 0006
"""

import sqlalchemy as sa
from alembic import op
from click import ClickException

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SEARCHABLE = ("users", "posts", "products")
NO_TRIGRAMS = (
    "Searching needs PostgreSQL's own extension pg_trgm, and it cannot be made here: {reason} Install PostgreSQL's "
    "contrib modules, or let a superuser run CREATE EXTENSION pg_trgm in this database."
)
# The index holds what its table holds, whoever writes there.
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


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        index_on_postgresql()
    else:
        index_on_sqlite()
    op.drop_index(op.f("ix_posts_user_id_created_at_id"), "posts")
    op.create_index(
        op.f("ix_posts_user_id_created_at_id"),
        "posts",
        ["user_id", "created_at", "id"],
        postgresql_include=["is_hidden"],
    )
    op.create_index(op.f("ix_orders_buyer_id_total_id"), "orders", ["buyer_id", "total", "id"])
    op.create_index(op.f("ix_orders_seller_id_total_id"), "orders", ["seller_id", "total", "id"])
    op.create_index(op.f("ix_transfers_amount_id"), "transfers", ["amount", "id"])
    op.create_index(op.f("ix_sessions_user_id_created_at_id"), "sessions", ["user_id", "created_at", "id"])
    op.drop_index(op.f("ix_sessions_user_id"), "sessions")


def index_on_postgresql() -> None:
    try:
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except sa.exc.DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise ClickException(NO_TRIGRAMS.format(reason=f"{reason}.")) from None
    for table in SEARCHABLE:
        op.create_index(
            op.f(f"ix_{table}_search_text"),
            table,
            ["search_text"],
            postgresql_using="gin",
            postgresql_ops={"search_text": "gin_trgm_ops"},
        )


def index_on_sqlite() -> None:
    for table in SEARCHABLE:
        for statement in ON_SQLITE:
            op.execute(statement.format(table=table))


def downgrade() -> None:
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"])
    op.drop_index(op.f("ix_sessions_user_id_created_at_id"), "sessions")
    op.drop_index(op.f("ix_transfers_amount_id"), "transfers")
    op.drop_index(op.f("ix_orders_seller_id_total_id"), "orders")
    op.drop_index(op.f("ix_orders_buyer_id_total_id"), "orders")
    op.drop_index(op.f("ix_posts_user_id_created_at_id"), "posts")
    op.create_index(op.f("ix_posts_user_id_created_at_id"), "posts", ["user_id", "created_at", "id"])
    for table in SEARCHABLE:
        if op.get_bind().dialect.name == "postgresql":
            op.drop_index(op.f(f"ix_{table}_search_text"), table)  # The extension may serve others, too.
        else:
            for change in ("insert", "delete", "update"):
                op.execute(f"DROP TRIGGER {table}_search_{change}")
            op.execute(f"DROP TABLE {table}_search")
