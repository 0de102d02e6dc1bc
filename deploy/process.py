"""Programs that are kept running: one that ends is started again, until it is told to stop."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PAUSE = 0.5  # seconds between the end of a program and its next start
PATIENCE = 45  # seconds that a program has to end; more than Gunicorn gives the requests under way


@dataclass(kw_only=True)
class Process:
    """A program, in a session of its own; what it says is appended to the file ``log``.

    ``user`` is a numeric id, or None for one's own; ``end`` is the signal by which it ends in good order.
    """

    name: str
    command: list[str]
    folder: Path
    log: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    user: int | None = None
    end: int = signal.SIGTERM
    starts: int = 0
    _running: "subprocess.Popen[bytes] | None" = None
    _wanted: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)  # between who stops it and the keeper

    @property
    def pid(self) -> int:
        """The id of the program's first process. Raises RuntimeError where it was never started."""
        if self._running is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._running.pid

    @property
    def is_alive(self) -> bool:
        """Return whether the program's first process is there."""
        return self._running is not None and self._running.poll() is None

    def start(self) -> None:
        """Start the program, and want it to be there from now on."""
        with self._lock:
            self._wanted = True
            self._start()

    def _start(self) -> None:
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(  # noqa: S603
                self.command,
                cwd=self.folder,
                env=dict(self.environment),
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us, who stop the programs in order.
            )
        self.starts += 1

    def signal(self, number: int) -> None:
        """Send a signal to the program's first process."""
        os.kill(self.pid, number)

    def stop(self, how: int | None = None) -> None:
        """End the program with the signal ``how``, by default in good order, and do not start it again."""
        with self._lock:
            self._wanted = False
        if self._running is None:
            return
        if not self.is_alive:
            self._end_rest()
            return
        self.signal(self.end if how is None else how)
        os.killpg(self.pid, signal.SIGCONT)  # One that is frozen hears nothing.
        try:
            self._running.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._running.wait()

    def keep(self) -> None:
        """Start the program again if it has ended and is wanted."""
        with self._lock:
            if self._wanted and not self.is_alive:
                self._end_rest()
                self._start()

    def _end_rest(self) -> None:
        """End what the first process has left behind, as it ends with a container's."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


class Keeper(threading.Thread):
    """Starts again what has ended, as ``restart: always`` does for containers."""

    def __init__(self, processes: list[Process]) -> None:
        super().__init__(name="keeper", daemon=True)
        self._processes = processes
        self._over = threading.Event()

    def run(self) -> None:
        """Look at the programs until ``end`` is called."""
        while not self._over.wait(PAUSE):
            for process in self._processes:
                process.keep()

    def end(self) -> None:
        """Look no more."""
        self._over.set()
        self.join()


def wait_for_file(process: Process, path: Path, *, seconds: float = 30) -> None:
    """Wait until ``path``, by which a program shows that it is ready, exists. Raises RuntimeError with its log."""
    end = time.monotonic() + seconds
    while not path.exists():
        if not process.is_alive or time.monotonic() > end:
            raise RuntimeError(f"{process.name} does not start:\n{process.log.read_text(errors='replace')}")
        time.sleep(0.05)
