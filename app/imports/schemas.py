"""What comes in and goes out of imports."""

from app.core.schema import MAX_ID, Choice, Id, Integer, Schema, Text, Timestamp
from app.imports.service import KINDS, MODES


class ImportSchema(Schema):
    """A file to be imported, and how."""

    kind = Choice(*KINDS, required=True)
    file_id = Id(required=True, metadata={"description": "One of your files."})
    mode = Choice(
        *MODES,
        required=True,
        metadata={"description": "`validate` stores nothing, `atomic` all rows or none, `partial` the good ones."},
    )


class ImportedFileSchema(Schema):
    """A file that was imported: kept, so that the same one again creates nothing."""

    id = Id(dump_only=True)
    sha256 = Text(64, 64, dump_only=True)
    made = Integer(0, MAX_ID, dump_only=True, metadata={"description": "Products that it has become."})
    created_at = Timestamp(dump_only=True)
