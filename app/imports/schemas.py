"""What comes in of imports."""

from app.core.schema import Choice, Id, Schema
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
