"""What comes in and goes out of todos."""

from app.core.schema import Boolean, Id, Schema, Text, Timestamp
from app.todos.models import TASK_LENGTH


class TodoSchema(Schema):
    """A todo."""

    id = Id(dump_only=True)
    task = Text(1, TASK_LENGTH, required=True)
    done = Boolean(load_default=False)
    created_at = Timestamp(dump_only=True)
    updated_at = Timestamp(dump_only=True)
