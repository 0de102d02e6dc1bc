"""Where the log goes: standard error, a file that rotates, or syslog."""

import fcntl
import io
import logging
import os
import socket
import sys
from contextlib import suppress
from logging.handlers import SysLogHandler, WatchedFileHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

BACKUP_COUNT = 9  # files beside the one that is written
MAX_LINE_SIZE = 1 << 18  # bytes of a line that is written at once, and so not mixed with another process's
SYSLOG_PORT = 514


def handler_for(target: str, *, size: int) -> logging.Handler:
    """Return the handler of the setting LOG_TO. A file is rotated when it has ``size`` bytes. Raises OSError."""
    url = urlsplit(target)
    if url.scheme == "file":
        return RotatingFile(unquote(url.path), size=size)
    if url.scheme == "syslog":
        return Syslog(_address(url.hostname, url.port) if url.hostname else unquote(url.path))
    return logging.StreamHandler(sys.stderr)


def _address(host: str, port: int | None) -> tuple[str, int]:
    """Find the host once: the handler would look its name up for each line."""
    found = socket.getaddrinfo(host, port or SYSLOG_PORT, type=socket.SOCK_DGRAM)[0][4]
    return str(found[0]), int(found[1])


class Syslog(SysLogHandler):
    """Sends a line to syslog, by its name and without a NUL at its end (RFC 3164, section 4.1)."""

    ident = "agora: "
    append_nul = False


class RotatingFile(WatchedFileHandler):
    """A file that several processes write, and that one of them rotates when it is full.

    Each line is appended by one write, so lines are not mixed. The process that finds it full renames it, under a lock
    that is taken for nothing else; the others see that the name has another file now, and follow. A lock for each line,
    as in concurrent-log-handler, takes twice the time of the line.
    """

    def __init__(self, name: str, *, size: int) -> None:
        self._size = size
        super().__init__(name, encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line. An error is reported on standard error, and fails nobody's request."""
        try:
            super().emit(record)
            if self.stream is not None and os.fstat(self.stream.fileno()).st_size >= self._size:
                self._rotate()
        except OSError:
            self.handleError(record)

    def _open(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(open(self.baseFilename, "ab", buffering=MAX_LINE_SIZE), encoding=self.encoding)

    def _rotate(self) -> None:
        with Path(f"{self.baseFilename}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed
            if Path(self.baseFilename).stat().st_size < self._size:
                return  # Another process was faster.
            for number in range(BACKUP_COUNT - 1, 0, -1):
                with suppress(FileNotFoundError):
                    os.replace(f"{self.baseFilename}.{number}", f"{self.baseFilename}.{number + 1}")
            os.replace(self.baseFilename, f"{self.baseFilename}.1")
