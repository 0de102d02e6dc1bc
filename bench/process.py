"""What a tree of processes has cost, read from /proc (Linux; see proc_pid_stat(5))."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PARENT, TIMES = 1, slice(11, 15)  # utime, stime, and of children that have ended, cutime and cstime


def _stats() -> dict[int, list[str]]:
    """Return the fields of every process, from its state on; its name, which may hold anything, is skipped."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # It has ended meanwhile.
    return found


def tree(root: int) -> dict[int, list[str]]:
    """Return the fields of ``root`` and of all that it has started, directly or not."""
    stats = _stats()
    members = {root: stats[root]}
    grown = True
    while grown:
        more = {pid: stat for pid, stat in stats.items() if pid not in members and int(stat[PARENT]) in members}
        members |= more
        grown = bool(more)
    return members


def cpu_seconds(root: int) -> float:
    """Return the user and system time of a whole tree; it only grows, since the time of the ended is their parents'."""
    return sum(int(ticks) for stat in tree(root).values() for ticks in stat[TIMES]) / TICKS


def memory(root: int) -> int:
    """Return the memory of a whole tree in bytes: shared pages are shared out (PSS)."""
    total = 0
    for pid in tree(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total
