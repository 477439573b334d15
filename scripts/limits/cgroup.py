"""A control group that limits its processes as a container runtime would."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PERIOD = 100_000  # Microseconds; the default of the kernel and of container runtimes.


class CGroup:
    """A new group with limits, and with precedence up to them, so that other work on this machine takes nothing from
    it. Leaving the context deletes the group; its processes must have ended by then."""

    how: str
    """The kernel's files that enforce the limits."""

    def __enter__(self) -> CGroup:
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self._folders():
            folder.rmdir()

    @property
    def prefix(self) -> list[str]:
        """A command that enters the group and then executes the program given after it."""
        files = " ".join(shlex.quote(str(folder / "cgroup.procs")) for folder in self._folders())
        return ["sh", "-c", f'echo $$ | tee {files} >/dev/null && exec "$0" "$@"']

    def peak(self) -> float:
        """The peak memory in MiB, including the files that the kernel caches for the group."""
        raise NotImplementedError

    def kills(self) -> int:
        """The number of processes killed for lack of memory."""
        raise NotImplementedError

    def throttled(self) -> int:
        """The number of periods in which the group had used up its share of the processor."""
        raise NotImplementedError

    def _folders(self) -> list[Path]:
        raise NotImplementedError


def limited(memory: int, cores: float) -> CGroup:
    """A group of the version of control groups on this machine. Fails if it cannot be created."""
    name = f"user-service-limits-{os.getpid()}"
    quota = round(PERIOD * cores)
    try:
        return _V2(name, memory, quota) if (ROOT / "cgroup.controllers").exists() else _V1(name, memory, quota)
    except OSError as error:
        raise RuntimeError(
            f"no control group can be made here, which takes root and a writable {ROOT}: {error}"
        ) from error


class _V1(CGroup):
    """Below this process's own groups, whose limits still apply."""

    how = "cgroup v1: memory.limit_in_bytes, cpu.cfs_quota_us"

    def __init__(self, name: str, memory: int, quota: int) -> None:
        own = dict(line.split(":")[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
        self._memory, self._cpu = (ROOT / kind / own[kind].lstrip("/") / name for kind in ("memory", "cpu"))
        for folder in self._folders():
            folder.mkdir()
        (self._memory / "memory.limit_in_bytes").write_text(str(memory))
        (self._cpu / "cpu.cfs_period_us").write_text(str(PERIOD))
        (self._cpu / "cpu.cfs_quota_us").write_text(str(quota))
        (self._cpu / "cpu.shares").write_text("262144")

    def peak(self) -> float:
        return int((self._memory / "memory.max_usage_in_bytes").read_text()) / 2**20

    def kills(self) -> int:
        return _entry(self._memory / "memory.oom_control", "oom_kill")

    def throttled(self) -> int:
        return _entry(self._cpu / "cpu.stat", "nr_throttled")

    def _folders(self) -> list[Path]:
        return [self._memory, self._cpu]


class _V2(CGroup):
    """Below the root, because a group with processes, such as this process's own, can have no subgroups with limits."""

    how = "cgroup v2: memory.max, memory.swap.max, cpu.max"

    def __init__(self, name: str, memory: int, quota: int) -> None:
        (ROOT / "cgroup.subtree_control").write_text("+memory +cpu")
        self._folder = ROOT / name
        self._folder.mkdir()
        (self._folder / "memory.max").write_text(str(memory))
        (self._folder / "memory.swap.max").write_text("0")
        (self._folder / "cpu.max").write_text(f"{quota} {PERIOD}")
        (self._folder / "cpu.weight").write_text("10000")

    def peak(self) -> float:
        return int((self._folder / "memory.peak").read_text()) / 2**20

    def kills(self) -> int:
        return _entry(self._folder / "memory.events", "oom_kill")

    def throttled(self) -> int:
        return _entry(self._folder / "cpu.stat", "nr_throttled")

    def _folders(self) -> list[Path]:
        return [self._folder]


def _entry(file: Path, name: str) -> int:
    return int(dict(line.split() for line in file.read_text().splitlines())[name])
