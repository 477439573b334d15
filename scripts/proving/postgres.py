"""A private PostgreSQL, which can be frozen."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import children
from children import Children
from ports import free_port

SCRIPT = str(Path(__file__).parent.parent / "postgres")
START_TIMEOUT = 60.0


class Postgres:
    """A running server with its own empty cluster."""

    def __init__(self, started: Children, folder: Path) -> None:
        self._programs = children.run([SCRIPT, "--programs"], cwd=str(folder), timeout=10)
        self.port = free_port()
        self._folder = folder
        log = folder / "postgres.log"
        with open(log, "wb") as output:
            command = [SCRIPT, str(folder / "postgres"), str(self.port)]
            # A scenario adds its delays itself; those of this machine's disk would only blur them.
            env = {**os.environ, "POSTGRES_OPTIONS": "-c fsync=off"}
            # SIGINT disconnects its clients; SIGTERM would wait for them.
            self._process = started.start(command, cwd=str(folder), output=output, env=env, end=signal.SIGINT)
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)

    def create_database(self, name: str) -> str:
        """Creates an empty database and returns its URL."""
        self.query("postgres", f'CREATE DATABASE "{name}"')
        return self.url(name)

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgres://postgres@127.0.0.1:{port or self.port}/{database}"

    def query(self, database: str, statement: str) -> str:
        command = [
            f"{self._programs}/psql",
            "-X",
            "-A",
            "-t",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "postgres",
        ]
        return children.run([*command, "-d", database, "-c", statement], cwd=str(self._folder), timeout=30)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stops the server and all its children, as a hung machine would, until the end of the block."""
        server = self._process.pid
        # The parent first, so that it starts no child after they were listed.
        os.kill(server, signal.SIGSTOP)
        frozen = [*_children_of(server), server]
        try:
            for process in frozen:
                os.kill(process, signal.SIGSTOP)
            yield
        finally:
            for process in frozen:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)

    def _answers(self) -> bool:
        command = [f"{self._programs}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        return subprocess.run(command, cwd=self._folder, timeout=10, check=False).returncode == 0


def _children_of(parent: int) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile
            # The name, in parentheses, may contain anything. The state and the parent follow it.
            if int((process / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(process.name))
    return found
