"""The rules of imports: who may ask for one, and what it keeps."""

from typing import Any

from sqlalchemy import delete, select

from app.core.caller import Caller
from app.core.errors import Conflict, NotFound, ValidationFailed
from app.extensions import db
from app.files import service as files
from app.files.models import File
from app.imports.models import Import
from app.jobs.models import FINISHED, Job
from app.jobs.service import request_job
from app.users.models import User

KIND = "import"
KINDS = ("products",)
VALIDATE, ATOMIC, PARTIAL = MODES = ("validate", "atomic", "partial")


def create_import(caller: Caller, *, kind: str, file_id: int, mode: str) -> dict[str, Any]:
    """Enqueue an import of one of the caller's files; return its job.

    Raises ValidationFailed for another's file, or Conflict (``too_many_jobs``).
    """
    try:
        files.get_file(caller, file_id)
    except NotFound:
        raise ValidationFailed(errors={"file_id": ["You have no such file."]}) from None
    return request_job(caller, KIND, params={"kind": kind, "file_id": file_id, "mode": mode})


def refuse_while_importing(file: File) -> None:
    """Keep a file from being deleted that an import has yet to read."""
    waiting = select(Job.params).where(Job.user_id == file.user_id, Job.kind == KIND, Job.status.not_in(FINISHED))
    if any(params["file_id"] == file.id for params in db.session.scalars(waiting)):
        raise Conflict("An import still needs this file.", code="file_in_use")


def erase_imports(user: User) -> None:
    """Forget what a member who is being deleted has imported."""
    db.session.execute(delete(Import).where(Import.user_id == user.id))
