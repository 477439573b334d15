"""The processes that a run starts. None outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import IO

PATIENCE = 10.0


class Children:
    """Starts processes. Leaving the context ends those that still run, the youngest first."""

    def __init__(self) -> None:
        self._running: list[tuple[subprocess.Popen[bytes], signal.Signals]] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        while self._running:
            self.stop(self._running[-1][0])

    def start(
        self,
        command: list[str],
        *,
        cwd: str,
        output: IO[bytes],
        env: dict[str, str] | None = None,
        end: signal.Signals = signal.SIGTERM,
    ) -> subprocess.Popen[bytes]:
        """Starts a process, which the signal `end` ends. Its own session shields it from Ctrl-C at the terminal, so
        that it is ended in order."""
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        self._running.append((process, end))
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Ends a process and everything in its session, by force if it does not react."""
        end = next(end for one, end in self._running if one is process)
        try:
            _signal_group(process, end)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(PATIENCE)
        finally:
            self._running.remove((process, end))


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        os.killpg(process.pid, number)


def run(command: list[str], *, cwd: str, timeout: float, env: dict[str, str] | None = None) -> str:
    """Runs a short command and returns its output. A failure raises an exception with its errors."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout.strip()
