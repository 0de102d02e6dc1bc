"""The rules of files. Bytes are stored before a row is written; what has no row is swept away later."""

import io
from functools import partial
from tempfile import TemporaryFile
from typing import Any, NamedTuple, TypedDict, Unpack

from flask import current_app
from sqlalchemy import ColumnElement, String, case, cast, delete, func, insert, literal, null, or_, select, update

from app.core.caller import Caller
from app.core.clients import storage
from app.core.db.base import Query, Record
from app.core.errors import Conflict, ValidationFailed
from app.core.hooks import Hook
from app.core.http.multipart import Upload
from app.core.rows import one_locked, one_or_not_found
from app.core.unit_of_work import rows_of, unit_of_work
from app.extensions import db
from app.files.models import File
from app.files.sniffing import PICTURES, sniff
from app.files.thumbnails import thumbnail
from app.users.models import User

BYTES = "files"
THUMBNAILS = "thumbnails"


class Picture(NamedTuple):
    """A picture that has been uploaded: its file, and whose it is."""

    file_id: int
    owner_id: int


# Run in the transaction that stores a picture.
picture_uploaded: Hook[Picture] = Hook()
# Run in the transaction that deletes a file; whoever needs it refuses.
file_deleting: Hook[File] = Hook()


class StoredFile(TypedDict):
    """The fields of a file whose bytes are stored. ``size``: bytes."""

    name: str
    size: int
    sha256: str
    content_type: str
    awaits_thumbnail: bool
    storage_key: str


def url_of(file_id: Any, what: str = "content") -> ColumnElement[Any]:
    """Return the SQL of the URL at which a file's bytes are; NULL where ``file_id`` is."""
    return literal("/api/v1/files/") + cast(file_id, String) + literal(f"/{what}")


OWN = (
    File.id,
    File.name,
    File.content_type,
    File.size,
    File.sha256,
    File.created_at,
    url_of(File.id).label("url"),
)
THUMBNAIL_URL = case((File.thumbnail_key.is_not(None), url_of(File.id, "thumbnail"))).label("thumbnail_url")


def list_files(caller: Caller) -> Query:
    """Return the query of the caller's files."""
    return select(*OWN, THUMBNAIL_URL).where(File.user_id == caller.member_id)


def get_file(caller: Caller, file_id: int) -> Record:
    """Return one of the caller's files. Raises NotFound."""
    return one_or_not_found(list_files(caller).where(File.id == file_id))


def store_upload(caller: Caller, upload: Upload) -> dict[str, Any]:
    """Store the bytes of an upload, before the transaction, and return the fields of its row.

    Raises Conflict (``quota_exceeded``).
    """
    _check_quota(caller, size=upload.size)  # Before anything is stored; create_file decides.
    content_type = sniff(upload.content, upload.name)
    return {
        "name": upload.name,
        "size": upload.size,
        "sha256": upload.sha256,
        "content_type": content_type,
        "awaits_thumbnail": content_type in PICTURES,
        "storage_key": storage.put(upload.content, BYTES),
    }


def create_file(caller: Caller, **fields: Unpack[StoredFile]) -> Record:
    """Create the row of a file whose bytes are stored, and return it.

    The caller's row is locked, so that no two uploads count the same. Raises Conflict (``quota_exceeded``).
    """
    _check_quota(caller, size=fields["size"])
    new = insert(File).values(user_id=caller.member_id, **fields).returning(*OWN, null().label("thumbnail_url"))
    file = db.session.execute(new).one()
    if fields["awaits_thumbnail"]:
        picture_uploaded.run(Picture(file.id, caller.member_id))
    return file


def _check_quota(caller: Caller, *, size: int) -> None:
    """Raise Conflict unless the caller may have one more file, of ``size`` bytes."""
    own = select(func.count(), func.coalesce(func.sum(File.size), 0)).where(File.user_id == caller.member_id)
    number, stored = db.session.execute(own).one()
    most_files, most_bytes = current_app.config["MEMBER_FILES"], current_app.config["MEMBER_STORAGE"]
    if number >= most_files:
        raise Conflict(f"A member may have {most_files:,} files. Delete some.", code="quota_exceeded")
    if stored + size > most_bytes:
        message = f"A member's files may have {most_bytes:,} bytes, and yours have {stored:,}. Delete some."
        raise Conflict(message, code="quota_exceeded")


def get_content(caller: Caller, file_id: int) -> Record:
    """Return where the bytes of a file are: one of the caller's, or what a product shows. Raises NotFound."""
    seen = or_(File.is_public, File.user_id == caller.id)
    columns = (File.name, File.content_type, File.size, File.sha256, File.is_public)
    keys = (File.storage_key, File.thumbnail_key, File.thumbnail_size)
    return one_or_not_found(select(*columns, *keys).where(File.id == file_id, seen))


def own_file(caller: Caller, file_id: int) -> File:
    """Return one of the caller's files, locked, to be deleted. Raises NotFound."""
    return one_locked(select(File).where(File.id == file_id, File.user_id == caller.member_id))


def delete_file(file: File) -> None:
    """Delete a file; its bytes are swept away later. Raises Conflict (``file_in_use``) while something needs it."""
    file_deleting.run(file)
    db.session.delete(file)


def publish_picture(file_id: int, *, owner_id: int, field: str) -> None:
    """Make a picture of a member's public. Raises ValidationFailed, naming ``field``, if it is not one of theirs."""
    own = File.id == file_id, File.user_id == owner_id, File.content_type.in_(PICTURES)
    if not rows_of(update(File).where(*own).values(is_public=True)):
        raise ValidationFailed(errors={field: ["Must be a picture (JPEG, PNG, GIF or WebP) that the seller uploaded."]})


def make_thumbnail(file_id: int) -> None:
    """Store the thumbnail of a picture, if it awaits one; a second call does nothing. Runs outside of a unit of work.

    Raises ServiceUnavailable while the storage is away.
    """
    awaits = File.id == file_id, File.awaits_thumbnail
    key = db.session.scalar(select(File.storage_key).where(*awaits))
    if key is None:
        return
    made = _thumbnail_of(key)
    values = {"thumbnail_key": storage.put(io.BytesIO(made), THUMBNAILS), "thumbnail_size": len(made)} if made else {}
    unit_of_work(lambda: db.session.execute(update(File).where(*awaits).values(awaits_thumbnail=False, **values)))


def _thumbnail_of(key: str) -> bytes | None:
    with TemporaryFile() as file:
        storage.copy(key, file)
        return thumbnail(file)


def sweep() -> int:
    """Remove the bytes of deleted files, and return their number. Runs outside of a unit of work."""
    kept = {BYTES: File.storage_key, THUMBNAILS: File.thumbnail_key}

    def named(folder: str, keys: list[str]) -> set[str]:
        return set(db.session.scalars(select(kept[folder]).where(kept[folder].in_(keys))))

    return sum(storage.sweep(folder, partial(named, folder)) for folder in kept)


def erase_files(user: User) -> None:
    """Erase the files of a member who is being deleted."""
    db.session.execute(delete(File).where(File.user_id == user.id))
