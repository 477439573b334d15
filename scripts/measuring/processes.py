"""Starts programs, limits every wait for them, and ends them all, however the measurement ends."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import report


class Processes:
    """Ends its processes, and deletes the folder for their files, at the end of the `with` block."""

    def __enter__(self):
        # Not /tmp, which may be in memory, where a write costs nothing.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="user-service-measure-", dir="/var/tmp"))
        self.folder.chmod(0o711)  # started by root, PostgreSQL runs as another user, which needs access
        self._running = []
        return self

    def __exit__(self, *_):
        # A second Ctrl-C must not leave processes running.
        handlers = {
            number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        for process in reversed(list(self._running)):
            self.stop(process)
        shutil.rmtree(self.folder, ignore_errors=True)
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def start(self, command, environment):
        """Starts a server in the folder, beyond the terminal's signals, with its output in a log there."""
        log = self.folder / f"{pathlib.Path(command[0]).name}.log"
        with log.open("a") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process.log = log
        self._running.append(process)
        return process

    def stop(self, process):
        """Ends the process with SIGINT, and after 15 s its whole group with SIGKILL."""
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._running.remove(process)


def run(command, seconds, **options):
    """Runs a program to its end and returns what it printed."""
    command = [str(part) for part in command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, **options) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with whatever it started
            if isinstance(error, subprocess.TimeoutExpired):
                report.fail(f"not done within {seconds} s: {' '.join(command)}")
            raise
    if process.returncode != 0:
        report.fail(f"exit code {process.returncode} from {' '.join(command)}\n{output}")
    return output


def wait_until(ready, process, seconds=60):
    """Waits until `ready` is true. Fails if the process has ended, or if it takes too long."""
    end = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            report.fail(f"{process.args[0]} did not start:\n{process.log.read_text()}")
        time.sleep(0.05)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
