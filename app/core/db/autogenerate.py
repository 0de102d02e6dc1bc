"""What ``flask db migrate`` compares beyond Alembic's own: the words and limits of CHECKs, and search indexes.

It is a plugin of Alembic, which ``migrations/env.py`` names:
https://alembic.sqlalchemy.org/en/latest/api/plugins.html
"""

import re
import sys
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.ext import checkconstraint_byname  # noqa: F401  # A plugin too, for a CHECK that is new or gone.
from alembic.operations.ops import CreateCheckConstraintOp, DropConstraintOp, ModifyTableOps, UpgradeOps
from alembic.runtime.plugins import Plugin
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import CheckConstraint, Index, Inspector, Table
from sqlalchemy.sql.elements import conv

from app.core.db.search_index import COLUMN, CreateSearchIndex, DropSearchIndex, index_name, virtual_table

NAME = "agora.autogenerate"
PLUGINS = ["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname", NAME]
# PostgreSQL writes a CHECK anew in its own words; what its texts and numbers are is the same in every spelling.
LITERAL = re.compile(r"'(?:[^']|'')*'|(?<![\w.])\d+")


def setup(plugin: Plugin) -> None:
    """Register the comparisons with Alembic."""
    plugin.add_autogenerate_comparator(_compare_checks, "table", "agora-checks")
    plugin.add_autogenerate_comparator(
        _compare_search_indexes, "schema", "agora-search-indexes", priority=DispatchPriority.LAST
    )


def register() -> None:
    """Make the plugin known, once for the process."""
    if NAME not in _registered:
        Plugin.setup_plugin_from_module(sys.modules[__name__], NAME)
        _registered.add(NAME)


_registered: set[str] = set()


def is_search_index(item: Any) -> bool:
    """Return whether a schema item is the index that create_search_index makes, and Alembic's own comparison is not."""
    return isinstance(item, Index) and item.table is not None and item.name == index_name(item.table.name)


def _compare_checks(
    context: AutogenContext, changes: ModifyTableOps, schema: str | None, name: str, existing: Any, table: Table | None
) -> PriorityDispatchResult:
    """Make a CHECK anew whose texts or numbers have changed: a further role or kind, another limit."""
    if existing is None or table is None or context.inspector is None:
        return PriorityDispatchResult.CONTINUE
    known = {check["name"]: check["sqltext"] for check in context.inspector.get_check_constraints(name, schema=schema)}
    for check in sorted(_checks(table), key=lambda check: str(check.name)):
        if check.name in known and _literals(str(check.sqltext)) != _literals(known[check.name]):
            former = CreateCheckConstraintOp(conv(str(check.name)), name, known[check.name])
            changes.ops.append(DropConstraintOp(former.constraint_name, name, "check", _reverse=former))
            changes.ops.append(CreateCheckConstraintOp(former.constraint_name, name, str(check.sqltext)))
    return PriorityDispatchResult.CONTINUE


def _checks(table: Table) -> list[CheckConstraint]:
    return [constraint for constraint in table.constraints if isinstance(constraint, CheckConstraint)]


def _literals(sql: str) -> list[str]:
    return sorted(literal.strip("'-") for literal in LITERAL.findall(sql))


def _compare_search_indexes(context: AutogenContext, changes: UpgradeOps, _schemas: Any) -> PriorityDispatchResult:
    if context.inspector is None:
        return PriorityDispatchResult.CONTINUE
    wanted = {table.name for table in context.sorted_tables if COLUMN in table.columns}
    present = _indexed_tables(context.inspector)
    changes.ops[:0] = [DropSearchIndex(table) for table in sorted(present - wanted)]
    changes.ops += [CreateSearchIndex(table) for table in sorted(wanted - present)]
    return PriorityDispatchResult.CONTINUE


def _indexed_tables(inspector: Inspector) -> set[str]:
    """Return the tables that have a search index in the database."""
    tables = set(inspector.get_table_names())
    if inspector.dialect.name == "sqlite":
        return {table for table in tables if virtual_table(table) in tables}
    return {table for table in tables if any(i["name"] == index_name(table) for i in inspector.get_indexes(table))}


@renderers.dispatch_for(CreateSearchIndex)
def _render_create(_context: AutogenContext, operation: CreateSearchIndex) -> str:
    return f"op.create_search_index({operation.table!r})"


@renderers.dispatch_for(DropSearchIndex)
def _render_drop(_context: AutogenContext, operation: DropSearchIndex) -> str:
    return f"op.drop_search_index({operation.table!r})"
