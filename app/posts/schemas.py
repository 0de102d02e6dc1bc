"""What comes in and goes out of posts."""

from app.core.schema import Boolean, Id, Schema, Text, Timestamp
from app.posts.models import CONTENT_LENGTH, TITLE_LENGTH
from app.users.models import NAME_LENGTH


class PostSchema(Schema):
    """A post, with its author's name."""

    id = Id(dump_only=True)
    title = Text(1, TITLE_LENGTH, required=True)
    content = Text(1, CONTENT_LENGTH, required=True)
    is_hidden = Boolean(metadata={"description": "Only moderators may send it. Absent, it stays as it is."})
    user_id = Id(dump_only=True)
    author = Text(*NAME_LENGTH, dump_only=True)
    created_at = Timestamp(dump_only=True)
    updated_at = Timestamp(dump_only=True)
