"""Where bytes live: a folder, or any S3-compatible store, through obstore. The setting STORAGE_URL says which.

Credentials and endpoint of a store are those that all tools of S3 read from the environment: AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL. Every call is bounded; a store that is away is a 503.
"""

import logging
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import obstore
from flask import Flask, current_app
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from app.core import clock
from app.core.errors import NotFound, ServiceUnavailable

if TYPE_CHECKING:
    from obstore import ReadableFile as StoredFile
    from obstore.store import ClientConfig, RetryConfig

log = logging.getLogger(__name__)

EXTENSION = "agora-storage"
CHUNK_SIZE = 5 * 1024 * 1024  # bytes that are sent or read at once; S3 takes no smaller part but the last
BUFFER = 1024 * 1024  # bytes of a file that is read
KEY_BYTES = 24
BATCH_SIZE = 1000
UNCLAIMED = timedelta(days=1)
CALL_TIMEOUT = timedelta(seconds=8)
CLIENT: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=2),
    "timeout": CALL_TIMEOUT,
    "allow_http": True,  # Where the endpoint is one of http, its operator has said so.
}
RETRY: "RetryConfig" = {
    "max_retries": 2,
    "retry_timeout": CALL_TIMEOUT,
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1), "base": 2},
}
USER_INFO = re.compile(r"(?<=//)[^/@\s]*@")

Store = LocalStore | S3Store


def _store() -> Store:
    """Return the store. Each process makes its own when it first needs one: its threads do not outlive a fork."""
    extensions = current_app.extensions
    if EXTENSION not in extensions:
        extensions[EXTENSION] = _made(current_app)
    made: Store = extensions[EXTENSION]
    return made


def _made(app: Flask) -> Store:
    url = app.config["STORAGE_URL"]
    if url.startswith("s3://"):
        return S3Store.from_url(url, client_options=CLIENT, retry_config=RETRY)
    folder = Path(unquote(urlsplit(url).path)) if url else Path(app.instance_path) / "files"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStore(folder)


@contextmanager
def _answering() -> Iterator[None]:
    """Raise ServiceUnavailable for a store that is away or refuses. Raises NotFound for bytes that are not there."""
    try:
        yield
    except FileNotFoundError:
        log.error("Bytes are missing in the storage")  # noqa: TRY400
        raise NotFound from None
    except (BaseError, OSError) as error:
        reason = USER_INFO.sub("", str(error).partition("\n")[0])
        log.error("The storage is away or refuses: %s", reason)  # noqa: TRY400
        raise ServiceUnavailable(
            "The files are out of reach for the moment. Try again.", code="storage_unavailable"
        ) from None


def put(file: IO[bytes], folder: str) -> str:
    """Store the whole of ``file``, in parts, and return the key: a random name below ``folder``.

    Raises ServiceUnavailable.
    """
    key = f"{folder}/{secrets.token_urlsafe(KEY_BYTES)}"
    file.seek(0)
    with _answering():
        obstore.put(_store(), key, file, chunk_size=CHUNK_SIZE, max_concurrency=1)
    return key


def open_file(key: str) -> "StoredFile":
    """Open what is stored under ``key``: its size is known, and it is read chunk by chunk, from anywhere.

    Raises ServiceUnavailable, or NotFound.
    """
    with _answering():
        return obstore.open_reader(_store(), key, buffer_size=BUFFER)


def copy(key: str, file: IO[bytes]) -> None:
    """Write what is stored under ``key`` to ``file``, chunk by chunk, and go back to its beginning.

    Raises ServiceUnavailable, or NotFound.
    """
    stored = open_file(key)
    with _answering():
        while chunk := stored.read(BUFFER):
            file.write(chunk)
    file.seek(0)


def delete(key: str) -> None:
    """Remove what is stored under ``key``, if anything is. Raises ServiceUnavailable."""
    with _answering(), suppress(FileNotFoundError):  # Another sweeper was faster.
        obstore.delete(_store(), key)


def sweep(folder: str, named: Callable[[list[str]], set[str]]) -> int:
    """Remove the bytes below ``folder`` that belong to nothing any more, and return their number.

    ``named`` tells which of some keys belong to something. Younger bytes than a day are left: they may be those of an
    upload that is under way. Raises ServiceUnavailable.
    """
    removed = 0
    with _answering():
        for found in obstore.list(_store(), prefix=folder, chunk_size=BATCH_SIZE):
            old = [stored["path"] for stored in found if stored["last_modified"] < clock.now() - UNCLAIMED]
            for key in set(old) - named(old):
                delete(key)
                removed += 1
    return removed
