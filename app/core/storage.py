"""Where bytes live that are no rows: files, and what jobs have made."""

from collections.abc import Iterator
from typing import BinaryIO

import obstore
from flask import current_app
from obstore.store import LocalStore

CHUNK = 65_536  # bytes


def _store() -> LocalStore:
    return LocalStore(current_app.instance_path + "/files", mkdir=True)


def put(key: str, content: BinaryIO) -> None:
    """Keep ``content`` under ``key``."""
    obstore.put(_store(), key, content)


def chunks(key: str) -> Iterator[bytes]:
    """Give what is kept under ``key``, part by part."""
    return map(bytes, obstore.get(_store(), key).stream(CHUNK))


def delete(key: str) -> None:
    """Remove what is kept under ``key``."""
    obstore.delete(_store(), key)
