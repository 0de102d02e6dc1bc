"""the market

Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)

# The books are only ever added to; the database itself refuses all else.
APPEND_ONLY = ("transfers", "entries")
REFUSE = """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$
"""


def text(length: int) -> sa.String:
    """A text that sorts by code point on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def make_append_only() -> None:
    """Refuse UPDATE and DELETE on the tables of the books."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(REFUSE)
        for table in APPEND_ONLY:
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            )
        return
    for table in APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def upgrade() -> None:
    op.create_table(
        "ledger_checks",
        sa.Column("id", ID, nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_checks")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "accounts",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", text(10), nullable=False),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("balance", ID, server_default="0", nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.CheckConstraint("(kind = 'member') = (user_id IS NOT NULL)", name=op.f("ck_accounts_owner")),
        sa.CheckConstraint("balance >= 0 OR kind = 'issuing'", name=op.f("ck_accounts_balance_not_negative")),
        sa.CheckConstraint("kind IN ('member', 'escrow', 'issuing')", name=op.f("ck_accounts_kind")),
        sa.CheckConstraint(
            "balance BETWEEN -9007199254740991 AND 9007199254740991", name=op.f("ck_accounts_balance_range")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_accounts_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("user_id", name=op.f("uq_accounts_user_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_accounts_issuing",
        "accounts",
        ["kind"],
        unique=True,
        postgresql_where=sa.text("kind = 'issuing'"),
        sqlite_where=sa.text("kind = 'issuing'"),
    )
    op.create_table(
        "products",
        sa.Column("id", ID, nullable=False),
        sa.Column("seller_id", ID, nullable=False),
        sa.Column("name", text(120), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("price", ID, nullable=False),
        sa.Column("stock", ID, nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("withdrawn_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("search_text", sa.Text(), nullable=False),
        sa.CheckConstraint("length(description) BETWEEN 0 AND 5000", name=op.f("ck_products_description_length")),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 120", name=op.f("ck_products_name_length")),
        sa.CheckConstraint("price BETWEEN 0 AND 1000000000000", name=op.f("ck_products_price_range")),
        sa.CheckConstraint("stock BETWEEN 0 AND 1000000000", name=op.f("ck_products_stock_range")),
        sa.ForeignKeyConstraint(["seller_id"], ["users.id"], name=op.f("fk_products_seller_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_products_created_at_id"), "products", ["created_at", "id"])
    op.create_index(op.f("ix_products_name_id"), "products", ["name", "id"])
    op.create_index(op.f("ix_products_price_id"), "products", ["price", "id"])
    op.create_index(op.f("ix_products_seller_id_created_at_id"), "products", ["seller_id", "created_at", "id"])
    op.create_table(
        "transfers",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", text(10), nullable=False),
        sa.Column("sender_id", ID, nullable=True),
        sa.Column("receiver_id", ID, nullable=True),
        sa.Column("amount", ID, nullable=False),
        sa.Column("reverses", ID, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "kind IN ('transfer', 'deposit', 'withdrawal', 'order', 'refund', 'payout', 'reversal')",
            name=op.f("ck_transfers_kind"),
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_transfers_amount_positive")),
        sa.ForeignKeyConstraint(["receiver_id"], ["users.id"], name=op.f("fk_transfers_receiver_id_users")),
        sa.ForeignKeyConstraint(["reverses"], ["transfers.id"], name=op.f("fk_transfers_reverses_transfers")),
        sa.ForeignKeyConstraint(["sender_id"], ["users.id"], name=op.f("fk_transfers_sender_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfers")),
        sa.UniqueConstraint("reverses", name=op.f("uq_transfers_reverses")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_transfers_created_at_id"), "transfers", ["created_at", "id"])
    op.create_index(op.f("ix_transfers_receiver_id_created_at_id"), "transfers", ["receiver_id", "created_at", "id"])
    op.create_index(op.f("ix_transfers_sender_id_created_at_id"), "transfers", ["sender_id", "created_at", "id"])
    op.create_table(
        "entries",
        sa.Column("id", ID, nullable=False),
        sa.Column("transfer_id", ID, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("amount", ID, nullable=False),
        sa.Column("balance_after", ID, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_entries_amount_not_zero")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_entries_account_id_accounts")),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfers.id"], name=op.f("fk_entries_transfer_id_transfers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
        sa.UniqueConstraint("transfer_id", "account_id", name=op.f("uq_entries_transfer_id_account_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_entries_account_id_created_at_id"), "entries", ["account_id", "created_at", "id"])
    op.create_table(
        "memos",
        sa.Column("transfer_id", ID, autoincrement=False, nullable=False),
        sa.Column("text", text(200), nullable=False),
        sa.CheckConstraint("length(text) BETWEEN 1 AND 200", name=op.f("ck_memos_text_length")),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfers.id"], name=op.f("fk_memos_transfer_id_transfers")),
        sa.PrimaryKeyConstraint("transfer_id", name=op.f("pk_memos")),
    )
    op.create_table(
        "orders",
        sa.Column("id", ID, nullable=False),
        sa.Column("buyer_id", ID, nullable=False),
        sa.Column("seller_id", ID, nullable=False),
        sa.Column("status", text(10), nullable=False),
        sa.Column("total", ID, nullable=False),
        sa.Column("escrow_id", ID, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.CheckConstraint("status IN ('placed', 'completed', 'cancelled')", name=op.f("ck_orders_status")),
        sa.CheckConstraint("buyer_id <> seller_id", name=op.f("ck_orders_two_parties")),
        sa.CheckConstraint("total BETWEEN 0 AND 1000000000000", name=op.f("ck_orders_total_range")),
        sa.ForeignKeyConstraint(["buyer_id"], ["users.id"], name=op.f("fk_orders_buyer_id_users")),
        sa.ForeignKeyConstraint(["escrow_id"], ["accounts.id"], name=op.f("fk_orders_escrow_id_accounts")),
        sa.ForeignKeyConstraint(["seller_id"], ["users.id"], name=op.f("fk_orders_seller_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("escrow_id", name=op.f("uq_orders_escrow_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_orders_buyer_id_created_at_id"), "orders", ["buyer_id", "created_at", "id"])
    op.create_index(op.f("ix_orders_seller_id_created_at_id"), "orders", ["seller_id", "created_at", "id"])
    op.create_index(op.f("ix_orders_status_created_at"), "orders", ["status", "created_at"])
    op.create_table(
        "order_lines",
        sa.Column("id", ID, nullable=False),
        sa.Column("order_id", ID, nullable=False),
        sa.Column("product_id", ID, nullable=False),
        sa.Column("name", text(120), nullable=False),
        sa.Column("unit_price", ID, nullable=False),
        sa.Column("quantity", ID, nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 120", name=op.f("ck_order_lines_name_length")),
        sa.CheckConstraint("quantity BETWEEN 1 AND 1000000", name=op.f("ck_order_lines_quantity_range")),
        sa.CheckConstraint("unit_price BETWEEN 0 AND 1000000000000", name=op.f("ck_order_lines_unit_price_range")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_lines_order_id_orders")),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_order_lines_product_id_products")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_lines")),
        sa.UniqueConstraint("order_id", "product_id", name=op.f("uq_order_lines_order_id_product_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_order_lines_product_id"), "order_lines", ["product_id"])
    make_append_only()


def downgrade() -> None:
    op.drop_table("order_lines")
    op.drop_table("orders")
    op.drop_table("memos")
    op.drop_table("entries")
    op.drop_table("transfers")
    op.drop_table("products")
    op.drop_table("accounts")
    op.drop_table("ledger_checks")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change")
