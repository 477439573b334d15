"""The proxy, with the configuration in deploy/."""

from __future__ import annotations

import csv
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from children import Children
from ports import free_port

CONFIGURATION = str(Path(__file__).parents[2] / "deploy" / "haproxy" / "haproxy.cfg")
NAMES = ["one", "two", "three", "four"]
START_TIMEOUT = 20.0


@dataclass
class Addresses:
    """The addresses of a replica."""

    rest: str
    grpc: str


class HaProxy:
    """A running proxy in front of these replicas. It has found all of them ready."""

    def __init__(self, started: Children, folder: Path, replicas: list[Addresses]) -> None:
        self.rest, self.grpc = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self._socket = str(folder / "admin.sock")
        self._children = started
        variables = {"LISTEN": self.rest, "LISTEN_GRPC": self.grpc, "ADMIN_SOCKET": self._socket}
        for number, replica in enumerate(replicas, 1):
            variables |= {f"USER_SERVICE_{number}": replica.rest, f"USER_SERVICE_{number}_GRPC": replica.grpc}
        log = folder / "haproxy.log"
        with open(log, "wb") as output:
            # In the foreground.
            command = ["haproxy", "-db", "-f", CONFIGURATION]
            env = {"PATH": os.environ.get("PATH", ""), **variables}
            self._process = started.start(command, cwd=str(folder), output=output, env=env)
        deadline = time.monotonic() + START_TIMEOUT
        while not Path(self._socket).exists():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"HAProxy did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        for name in NAMES[: len(replicas)]:
            self.wait_until_up(name)

    def wait_until_up(self, name: str) -> None:
        """Waits until the checks have found a replica ready."""
        deadline = time.monotonic() + START_TIMEOUT
        while not _is_up(row := self._row("rest", name)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} is {row['status']}: {row['check_status']}")
            time.sleep(0.05)

    def served(self, backend: str, name: str) -> int:
        """The number of requests that this replica received."""
        return int(self._row(backend, name)["stot"] or 0)

    def sent_again(self) -> int:
        """The number of requests that the proxy sent more than once, because a replica did not accept or answer
        them."""
        return sum(
            int(row[key] or 0) for row in self._rows() for key in ("wretr", "wredis") if row["svname"] == "BACKEND"
        )

    def stop(self) -> None:
        self._children.stop(self._process)

    def _row(self, backend: str, name: str) -> dict[str, str]:
        return next(row for row in self._rows() if (row["pxname"], row["svname"]) == (backend, name))

    def _rows(self) -> list[dict[str, str]]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(self._socket)
            connection.sendall(b"show stat\n")
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        return list(csv.DictReader(answer.decode().removeprefix("# ").splitlines()))


def _is_up(row: dict[str, str]) -> bool:
    # HAProxy takes a server for up until its first check.
    return row["status"] == "UP" and "L7OK" in row["check_status"]
