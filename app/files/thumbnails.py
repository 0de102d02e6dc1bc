"""Thumbnails of pictures, made in a process of their own that has hard limits of memory and of time."""

import logging
import subprocess
import sys
from pathlib import Path
from typing import IO

from app.files.thumbnail_process import NO_THUMBNAIL

log = logging.getLogger(__name__)

PROGRAM = Path(__file__).with_name("thumbnail_process.py")
WAIT = 60.0  # seconds; CPU time ends it much earlier, unless the machine has none to give
MEDIA_TYPE = "image/webp"


def thumbnail(content: IO[bytes]) -> bytes | None:
    """Return a WebP picture of at most 320 by 320 pixels, upright, of the first frame, without metadata.

    ``content`` is an open file, read from where it stands. None for what is no JPEG, PNG, GIF or WebP, is broken, has
    more than 2^25 pixels, or takes more memory or time than a thumbnail may: trying again would not help. Raises
    OSError or CalledProcessError where no process could be run.
    """
    command = [sys.executable, "-I", str(PROGRAM)]
    try:
        ended = subprocess.run(command, stdin=content, capture_output=True, timeout=WAIT, env={})  # noqa: S603
    except subprocess.TimeoutExpired:
        log.info("No thumbnail within %d s", WAIT)
        return None
    if ended.returncode == NO_THUMBNAIL or ended.returncode < 0:
        log.info("No thumbnail: %s", ended.stderr.decode(errors="replace")[-100:] or f"signal {-ended.returncode}")
        return None
    ended.check_returncode()
    return ended.stdout
