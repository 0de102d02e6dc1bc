"""Files at their URLs."""

from typing import Any

from flask import Response

from app.core.caller import Caller
from app.core.db.base import Record
from app.core.errors import Conflict, NotFound
from app.core.http.streaming import disposition, stored_file
from app.core.lists.listing import Listing
from app.core.permissions import Access
from app.core.request_state import request_state
from app.core.rest.endpoint import endpoint
from app.core.rest.resource import Resource
from app.files import service, thumbnails
from app.files.models import File
from app.files.schemas import FileSchema
from app.files.sniffing import PICTURES, UNKNOWN

FILES = Listing("files", FileSchema, File, sort={"created_at": File.created_at})

# What a browser may show by itself; all else is sent as a download, without its type.
SHOWN_INLINE = {**{media_type: media_type for media_type in PICTURES}, "text/plain": "text/plain; charset=utf-8"}
CONTENT_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
PUBLIC = "public, max-age=300"  # A product may show another picture, or none, at any time.

BYTES = endpoint(permission=Access.PUBLIC, media_type="*/*", other_status=206, accepts_ranges=True, errors=(NotFound,))


class FileList(Resource):
    """The caller's files."""

    @endpoint(permission="file:read", listing=FILES)
    def get(self, caller: Caller) -> Any:
        """List your files."""
        return service.list_files(caller)

    @endpoint(
        permission="file:write",
        upload=True,
        before_transaction=service.store_upload,
        response=FileSchema,
        status=201,
        location="/api/v1/files/{id}",
        for_update=True,
        errors=(Conflict,),
    )
    def post(self, caller: Caller, **fields: Any) -> Any:
        """Upload a file. Its type is found from its content. A picture gets a thumbnail in a while.

        409 `quota_exceeded` when you would have more files, or more bytes in them, than a member may.
        """
        return service.create_file(caller, **fields)


class FileItem(Resource):
    """One of the caller's files."""

    @endpoint(permission="file:read", response=FileSchema, errors=(NotFound,))
    def get(self, caller: Caller, file_id: int) -> Any:
        """Read about one of your files."""
        return service.get_file(caller, file_id)

    @endpoint(permission="file:write", load=service.own_file, status=204, errors=(NotFound, Conflict))
    def delete(self, _caller: Caller, file: File) -> None:
        """Delete one of your files, unless something needs it: 409 `file_in_use`."""
        service.delete_file(file)


class FileContent(Resource):
    """The bytes of a file."""

    @BYTES
    def get(self, caller: Caller, file_id: int) -> Response:
        """Download one of your files, or the picture of a product.

        Pictures and plain text can be shown by a browser, all else is saved as a file.
        """
        file = service.get_content(caller, file_id)
        media_type = SHOWN_INLINE.get(file.content_type)
        headers = {
            "Content-Type": media_type or UNKNOWN,
            "Content-Disposition": disposition("inline" if media_type else "attachment", file.name),
        }
        return _stored(file, file.storage_key, headers, size=file.size, entity_tag=file.sha256)


class FileThumbnail(Resource):
    """The thumbnail of a picture."""

    @BYTES
    def get(self, caller: Caller, file_id: int) -> Response:
        """Download the thumbnail of a picture: at most 320 by 320 pixels, as WebP."""
        file = service.get_content(caller, file_id)
        if file.thumbnail_key is None:
            raise NotFound
        headers = {"Content-Type": thumbnails.MEDIA_TYPE, "Content-Disposition": "inline"}
        return _stored(file, file.thumbnail_key, headers, size=file.thumbnail_size, entity_tag=f"{file.sha256}-small")


def _stored(file: Record, key: str, headers: dict[str, str], *, size: int, entity_tag: str) -> Response:
    if file.is_public:
        request_state().cache_control = PUBLIC
    headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return stored_file(key, size=size, entity_tag=entity_tag, headers=headers)
