"""The base of all tables, and the column types that mean the same on SQLite and PostgreSQL."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeAlias

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    Row,
    Select,
    String,
    Table,
    Text,
    TypeDecorator,
    event,
    inspect,
)
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import (
    DeclarativeBase,
    InstrumentedAttribute,
    Mapped,
    Mapper,
    Session,
    declared_attr,
    mapped_column,
)

from app.core import clock

# A query of some columns, several that have no row in common, and a row of its result.
Query: TypeAlias = Select[*tuple[Any, ...]]
Parts: TypeAlias = tuple[Query, ...]
Record: TypeAlias = Row[*tuple[Any, ...]]

# Ids and amounts are 64 bits wide. SQLite numbers rows by itself only in a column that it calls INTEGER.
BigId = BigInteger().with_variant(Integer(), "sqlite")

# Ids of deleted rows are not given out again; PostgreSQL does so of itself.
NEVER_REUSE_IDS = {"sqlite_autoincrement": True}


class UTCDateTime(TypeDecorator[datetime]):
    """A moment in aware UTC. SQLite forgets time zones, so it is stored there without one and given one again."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a moment without a time zone; it could mean any hour."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return the moment of SQLite its time zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC)

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:
        """Change nothing that comes from PostgreSQL: its connections are in UTC, and a page has 40 moments."""
        return None if dialect.name == "postgresql" else super().result_processor(dialect, coltype)


def text_type(length: int) -> String:
    """A text column that sorts by code point, as SQLite does, on PostgreSQL too."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def length_check(column: str, most: int, *, least: int = 0) -> CheckConstraint:
    """A CHECK of a text's length in characters; SQLite does not mind the length that its type declares."""
    return CheckConstraint(f"length({column}) BETWEEN {least} AND {most}", name=f"{column}_length")


def where_any(query: Query, value: Any, *columns: InstrumentedAttribute[Any]) -> Parts:
    """Split ``query`` into parts without a row in common: where the first column has the value, where the next has, ...

    As many scans of indexes find the first rows of all; for an OR of the columns all rows must be read and sorted.
    """
    return tuple(
        query.where(column == value, *(before.is_distinct_from(value) for before in columns[:number]))
        for number, column in enumerate(columns)
    )


class Base(DeclarativeBase):
    """The base of all models. Every constraint has a name, so that an error of the database can be understood."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UTCDateTime, int: BigId}


def table_of(model: type[Base]) -> Table:
    """Return the table of a model, for statements that are about rows: without the ORM they cost half as much."""
    return Base.metadata.tables[model.__tablename__]


def fold(text: str) -> str:
    """Return a text as it is searched: without regard to case."""
    return text.casefold()


def _moment_of_creation(context: DefaultExecutionContext) -> Any:
    return context.get_current_parameters()["created_at"]  # type: ignore[no-untyped-call]


class Created(Base):
    """A table with an id and the moment of a row's making."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(primary_key=True, sort_order=-1)
    created_at: Mapped[datetime] = mapped_column(default=lambda: clock.now(), sort_order=1)


class Changeable(Created):
    """A table whose rows change, with the moment of the last change."""

    __abstract__ = True

    updated_at: Mapped[datetime] = mapped_column(default=_moment_of_creation, sort_order=2)


class Searchable(Changeable):
    """A table of which some columns can be searched: their folded text is kept beside them."""

    __abstract__ = True
    searched: ClassVar[tuple[str, ...]]

    @classmethod
    def text_of(cls, values: Mapping[str, Any]) -> str:
        """Return the text to search in, of a row with ``values``."""
        return fold("\n".join(values[name] for name in cls.searched))

    @declared_attr
    def search_text(cls) -> Mapped[str]:  # noqa: N805
        """The folded text of the searched columns; SQL knows case only in part, and differently."""

        def of_new_row(context: DefaultExecutionContext) -> str:
            values = context.get_current_parameters()  # type: ignore[no-untyped-call]
            return cls.text_of(values)

        return mapped_column(Text, default=of_new_row, sort_order=3)


@event.listens_for(Searchable, "after_mapper_constructed", propagate=True)
def _index_search_text(mapper: Mapper[Any], _class: type[Searchable]) -> None:
    """Index the parts of words. SQLite has a virtual table for it, which its migration makes."""
    trigrams = {"search_text": "gin_trgm_ops"}
    index = Index(None, mapper.columns["search_text"], postgresql_using="gin", postgresql_ops=trigrams)
    index.ddl_if(dialect="postgresql")


@event.listens_for(Changeable, "before_update", propagate=True)
def _mark_as_changed(_mapper: Mapper[Any], _connection: Any, row: Changeable) -> None:
    """Move ``updated_at`` on with each real change, even with two in one tick of the clock."""
    session: Session | None = inspect(row).session
    if session is not None and session.is_modified(row, include_collections=False):
        if isinstance(row, Searchable):
            row.search_text = row.text_of({name: getattr(row, name) for name in row.searched})
        row.updated_at = max(clock.now(), row.updated_at + timedelta(microseconds=1))
