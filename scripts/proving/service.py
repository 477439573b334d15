"""The service under test: its own process, on a free port."""

from __future__ import annotations

import http.client
import os
import re
import signal
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

import children
from bearer import SECRET
from children import Children

START_TIMEOUT = 30.0


def environment(url: str, variables: dict[str, str]) -> dict[str, str]:
    """The service's whole environment, independent of the caller's."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "DATABASE_URL": url,
        "SERVER_PORT": "0",
        "GRPC_PORT": "0",
        "JWT_SECRET": SECRET,
        **variables,
    }


def seed(program: str, folder: Path, url: str, count: int) -> None:
    """Migrates a database and fills it."""
    command = [program, "seed", "--count", str(count)]
    children.run(command, cwd=str(folder), env=environment(url, {}), timeout=120)


def connect(url: str, timeout: float) -> http.client.HTTPConnection:
    """Opens a connection. TLS certificates are not verified, because everything is on this machine."""
    scheme, address = url.split("://")
    if scheme == "https":
        return http.client.HTTPSConnection(address, timeout=timeout, context=ssl._create_unverified_context())
    return http.client.HTTPConnection(address, timeout=timeout)


class Service:
    """A running service that is ready. `prefix` is a command that executes the program given after it."""

    def __init__(
        self,
        started: Children,
        program: str,
        folder: Path,
        url: str,
        variables: dict[str, str],
        prefix: Sequence[str] = (),
    ) -> None:
        log = folder / "service.log"
        with open(log, "wb") as output:
            command = [*prefix, program]
            self._process = started.start(command, cwd=str(folder), output=output, env=environment(url, variables))
        self._children = started
        deadline = time.monotonic() + START_TIMEOUT
        self.address, self.grpc_address, self._scheme = "", "", "http"
        while not self.address or not self._is_ready():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"the service did not become ready: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
            listening = re.search(r"listening on (https?)://([0-9.:]+)", log.read_text(errors="replace"))
            if listening:
                self._scheme, self.address = listening.groups()
                # The log has this line earlier.
                self.grpc_address = re.findall(r"gRPC on ([0-9.:]+)", log.read_text(errors="replace"))[-1]

    def _is_ready(self) -> bool:
        connection = connect(self.url, timeout=5)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        finally:
            connection.close()

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self.address}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def memory(self) -> float:
        """The resident memory, in MiB."""
        return self._status("VmRSS") / 1024

    def peak_memory(self) -> float:
        """The peak of the resident memory, in MiB. The kernel records it, so no peak is missed."""
        return self._status("VmHWM") / 1024

    def threads(self) -> int:
        return self._status("Threads")

    def connections_to(self, port: int) -> int:
        """The number of TCP connections that the service has, or is opening, to this port of this machine."""
        own = {link for link in map(_link, Path(f"/proc/{self.pid}/fd").iterdir()) if link.startswith("socket:")}
        count = 0
        for line in Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]:
            columns = line.split()
            count += columns[2].endswith(f":{port:04X}") and f"socket:[{columns[9]}]" in own
        return count

    def sockets(self) -> int:
        """The number of open sockets."""
        return sum(_link(file).startswith("socket:") for file in Path(f"/proc/{self.pid}/fd").iterdir())

    def stop(self) -> None:
        self._children.stop(self._process)

    def end(self, patience: float) -> int:
        """Ends the service in order (SIGTERM), and returns its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        code = self._process.wait(patience)
        self._children.stop(self._process)
        return code

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{name}:"))


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""  # closed meanwhile
