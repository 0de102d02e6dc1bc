"""Files in the background."""

from app.files import service
from app.jobs.kinds import Run
from app.jobs.service import enqueue

KIND = "thumbnail"


def ask_for_thumbnail(picture: service.Picture) -> None:
    """Enqueue the thumbnail of a new picture."""
    enqueue(KIND, caused_by_id=picture.owner_id, params={"file_id": picture.file_id})


def make(run: Run) -> None:
    """Make the thumbnail of a picture."""
    service.make_thumbnail(run.params["file_id"])
