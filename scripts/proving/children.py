"""The processes that a run starts, none of which outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import IO

PATIENCE = 10.0


class Children:
    """Starts processes, and ends those that still run when it is left, the youngest first."""

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
        """Starts a process that `end` asks to end. Its own session keeps a Ctrl-C at the terminal from it: it is ended
        in order instead."""
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        self._running.append((process, end))
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Ends a process and everything in its session, by force if it does not listen."""
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
    """Runs a short command and returns what it printed; what it complained about is in the exception."""
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
