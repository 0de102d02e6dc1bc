"""What goes out of files."""

from app.core.http.multipart import NAME_LENGTH
from app.core.schema import Id, Integer, Schema, Text, Timestamp, UrlPath
from app.files.models import DIGEST_LENGTH, TYPE_LENGTH

MAX_SIZE = 2**53 - 1


class FileSchema(Schema):
    """A file, without its bytes."""

    id = Id(dump_only=True)
    name = Text(1, NAME_LENGTH, dump_only=True)
    content_type = Text(1, TYPE_LENGTH, dump_only=True, metadata={"description": "Found from the content of the file."})
    size = Integer(1, MAX_SIZE, dump_only=True, metadata={"description": "Bytes."})
    sha256 = Text(DIGEST_LENGTH, DIGEST_LENGTH, dump_only=True)
    created_at = Timestamp(dump_only=True)
    url = UrlPath(metadata={"description": "Where the bytes are."})
    thumbnail_url = UrlPath(
        allow_none=True,
        metadata={
            "description": "A picture of at most 320 by 320 pixels; `null` until it is made, or if it cannot be."
        },
    )
