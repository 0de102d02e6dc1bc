"""Rows of numbers in memory that processes share, one for each of them.

The memory is made before the processes fork. A process claims a row when it first writes, by a lock on a byte of a
file; the system releases it when the process ends, however it does, and a successor goes on with the row.
"""

import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import TypeAlias
from weakref import WeakSet, finalize

ROWS = 64  # processes that may live at once; further ones write where nobody reads
PID = 0  # the first cell of a row, which its users do not see

Row: TypeAlias = "memoryview[float]"


class SharedRows:
    """Rows of the same width; ``lock`` is to be held while the own one is written."""

    def __init__(self, width: int, *, beginning: Sequence[float]) -> None:
        """Make rows of ``width`` numbers, of which each process sets the first ones anew to those of ``beginning``."""
        self._beginning = beginning
        self._width = 1 + width
        self._cells = memoryview(mmap.mmap(-1, ROWS * self._width * 8)).cast("d")
        self._claims, path = tempfile.mkstemp(prefix="agora-")
        os.unlink(path)
        finalize(self, os.close, self._claims)
        self.forget()
        _tables.add(self)

    def forget(self) -> None:
        """Have no row: the process is new."""
        self.lock = Lock()
        self._own: Row | None = None
        self._number = -1

    def own(self) -> Row:
        """Return the row of this process."""
        return self._own or self._claim()

    def used(self) -> Iterator[Row]:
        """Return the rows that processes have written, whether they live or not."""
        for number in range(ROWS):
            row = self._row(number)
            if row[PID]:
                yield row[1:]

    def living(self) -> Iterator[tuple[int, int, Row]]:
        """Return the number, the process id and the row of each process that lives."""
        for number in range(ROWS):
            row = self._row(number)
            if row[PID] and self._is_claimed(number):
                yield number, int(row[PID]), row[1:]

    def _claim(self) -> Row:
        """Take the first row that no living process has; where all are taken, one that nobody reads."""
        with self.lock:
            if self._own is None:
                self._number = next((number for number in range(ROWS) if self._lock_row(number)), -1)
                row = self._row(self._number) if self._number >= 0 else memoryview(bytearray(self._width * 8)).cast("d")
                for cell, value in enumerate((os.getpid(), *self._beginning)):
                    row[cell] = value
                self._own = row[1:]
            return self._own

    def _row(self, number: int) -> Row:
        return self._cells[number * self._width : (number + 1) * self._width]

    def _lock_row(self, number: int) -> bool:
        try:
            fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            return False
        return True

    def _is_claimed(self, number: int) -> bool:
        if number == self._number or not self._lock_row(number):
            return True
        fcntl.lockf(self._claims, fcntl.LOCK_UN, 1, number)
        return False


_tables: "WeakSet[SharedRows]" = WeakSet()


def _forget_rows() -> None:
    """Let a forked process take a row of its own."""
    for table in _tables:
        table.forget()


os.register_at_fork(after_in_child=_forget_rows)
