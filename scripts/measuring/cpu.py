"""CPU time from the kernel's counters: of a process with all its threads, and of a whole PostgreSQL."""

from __future__ import annotations

import os
import time
from pathlib import Path

import report

_TICKS = os.sysconf("SC_CLK_TCK")
_TRIES = 100


class Meter:
    """Counts, from when it is made, what a server and the PostgreSQL behind it use; either may be absent."""

    def __init__(self, server: int | None, postmaster: int | None) -> None:
        self._server = server
        self._postmaster = postmaster
        self._before = self._now()

    def per_request(self, requests: int) -> dict[str, float | None]:
        """In microseconds."""
        before, after = self._before, self._now()
        return {
            name: None if used is None else (used - (before[name] or 0)) / requests * 1e6
            for name, used in after.items()
        }

    def _now(self) -> dict[str, float | None]:
        return {
            "server_us": None if self._server is None else of_process(self._server),
            "database_us": None if self._postmaster is None else of_cluster(self._postmaster),
        }


def of_process(pid: int) -> float:
    """Seconds that all threads of a process have used, those that ended included.

    The process's own clock, clock_getcpuclockid(3), counts nanoseconds; /proc/PID/stat would round them to 10 ms.
    """
    return time.clock_gettime((~pid << 3) | 2)


def of_cluster(postmaster: int) -> float:
    """Seconds that a PostgreSQL has used: the postmaster, and its children, living and ended.

    Every backend, parallel worker and background process is a child of the postmaster, which adds the time of each
    that ends to its own `cutime` and `cstime`. No control group is needed, and so no privilege either. Only these two
    are rounded, to 10 ms each.
    """
    for _ in range(_TRIES):
        children = _children(postmaster)
        try:
            living = sum(of_process(pid) for pid in (postmaster, *children))
        except OSError:
            continue  # a child ended before it was asked
        ended = _of_ended_children(postmaster)
        # One that was born or ended meanwhile would be counted not at all, or twice.
        if _children(postmaster) == children:
            return living + ended
    report.fail(f"the children of PostgreSQL, process {postmaster}, come and go too fast to count their CPU time")


def _of_ended_children(pid: int) -> float:
    cutime, cstime = _stat(pid)[13:15]
    return (int(cutime) + int(cstime)) / _TICKS


def _children(parent: int) -> set[int]:
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(_stat(int(folder.name))[1]) == parent:
                found.add(int(folder.name))
        except OSError:
            pass  # ended meanwhile
    return found


def _stat(pid: int) -> list[str]:
    """From the state on: the name before it, in brackets, may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
