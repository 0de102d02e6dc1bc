"""the audit log

Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
INDEXES = (
    ("created_at", "id"),
    ("action", "created_at", "id"),
    ("actor_id", "created_at", "id"),
    ("owner_id", "created_at", "id"),
)
HAS_SECOND_OWNER = dict.fromkeys(("postgresql_where", "sqlite_where"), sa.text("second_owner_id IS NOT NULL"))
# All columns but the address, which is erased with the person.
KEPT = "id, action, actor_id, subject_type, subject_id, owner_id, second_owner_id, request_id, data, created_at"
EXPIRED = "EXISTS (SELECT 1 FROM audit_expiry WHERE OLD.created_at < expired_before)"
REFUSED = "audit is append-only"


def text(length: int) -> sa.String:
    """A text that sorts by code point on both databases."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", ID, nullable=False),
        sa.Column("action", text(40), nullable=False),
        sa.Column("actor_id", ID, nullable=True),
        sa.Column("subject_type", text(40), nullable=True),
        sa.Column("subject_id", ID, nullable=True),
        sa.Column("owner_id", ID, nullable=True),
        sa.Column("second_owner_id", ID, nullable=True),
        sa.Column("address", text(45), nullable=True),
        sa.Column("request_id", text(128), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("length(action) BETWEEN 1 AND 40", name=op.f("ck_audit_action_length")),
        sa.CheckConstraint("length(address) BETWEEN 0 AND 45", name=op.f("ck_audit_address_length")),
        sa.CheckConstraint("(subject_type IS NULL) = (subject_id IS NULL)", name=op.f("ck_audit_subject")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    for columns in INDEXES:
        op.create_index(op.f(f"ix_audit_{'_'.join(columns)}"), "audit", list(columns))
    op.create_index(
        op.f("ix_audit_second_owner_id_created_at_id"),
        "audit",
        ["second_owner_id", "created_at", "id"],
        **HAS_SECOND_OWNER,
    )
    op.create_table(
        "audit_expiry",
        sa.Column("id", ID, nullable=False),
        sa.Column("expired_before", MOMENT, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_audit_expiry_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_expiry")),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "postgresql":
        make_append_only_on_postgresql()
    else:
        make_append_only_on_sqlite()


def make_append_only_on_postgresql() -> None:
    """Refuse changes, by the function that the ledger's tables have for it, and deletions of what has not expired."""
    for name, event in (
        ("no_update", f"UPDATE OF {KEPT} ON audit FOR EACH ROW"),
        ("no_new_address", "UPDATE OF address ON audit FOR EACH ROW WHEN (NEW.address IS NOT NULL)"),
    ):
        op.execute(f"CREATE TRIGGER audit_{name} BEFORE {event} EXECUTE FUNCTION refuse_change()")
    op.execute(
        f"""
        CREATE FUNCTION refuse_unless_expired() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF {EXPIRED} THEN RETURN OLD; END IF; RAISE EXCEPTION '{REFUSED}'; END $$
        """
    )
    op.execute(
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_unless_expired()"
    )


def make_append_only_on_sqlite() -> None:
    """Refuse changes, and deletions of what has not expired."""
    for name, event in (
        ("no_update", f"UPDATE OF {KEPT} ON audit"),
        ("no_new_address", "UPDATE OF address ON audit WHEN NEW.address IS NOT NULL"),
        ("no_delete", f"DELETE ON audit WHEN NOT {EXPIRED}"),
    ):
        op.execute(f"CREATE TRIGGER audit_{name} BEFORE {event} BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END")


def downgrade() -> None:
    op.drop_table("audit")
    op.drop_table("audit_expiry")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_unless_expired")
