"""What every scenario needs: a folder, the programs, the databases, and the report."""

from __future__ import annotations

import functools
import subprocess
import sys
import time
from pathlib import Path

import service
from children import Children
from oha import Request, Run
from postgres import Postgres
from prober import Prober
from report import Report
from service import Service

HERE = Path(__file__).parent
PROXY_TIMEOUT = 10.0
WHEN_IDLE = ["chrt", "--idle", "0"]


class Bench:
    def __init__(self, program: str, oha: str, folder: Path, children: Children, report: Report) -> None:
        self.report = report
        self._program = program
        self._oha = oha
        self._folder = folder
        self._children = children
        self._count = 0

    @functools.cached_property
    def postgres(self) -> Postgres:
        """Started when the first scenario asks for it."""
        return Postgres(self._children, self._folder)

    def folder(self, name: str) -> Path:
        """A new folder."""
        self._count += 1
        folder = self._folder / f"{self._count}-{name}"
        folder.mkdir()
        return folder

    def seed(self, url: str, count: int) -> None:
        service.seed(self._program, self._folder, url, count)

    def serve(self, url: str, **variables: str) -> Service:
        return Service(self._children, self._program, self.folder("service"), url, variables)

    def load(
        self, service: Service, request: Request, *, seconds: float, connections: int, rate: float | None = None
    ) -> Run:
        folder = self.folder("load")
        return Run(
            self._children,
            self._oha,
            folder,
            service.address,
            request,
            seconds=seconds,
            connections=connections,
            rate=rate,
        )

    def probe(self, service: Service, probes: list[dict[str, object]]) -> Prober:
        return Prober(self._children, self.folder("probe"), service.url, probes)

    def crowd(
        self, service: Service, sockets: int, arguments: list[str], seconds: float
    ) -> subprocess.Popen[bytes]:
        """Slow clients, all of them within two seconds, who send something every two; the last argument is a path."""
        rate, length = str(sockets // 2), str(round(seconds))
        command = [*WHEN_IDLE, "slowhttptest", "-c", str(sockets), "-r", rate, "-l", length, "-i", "2", "-p", "3"]
        command += [*arguments[:-1], f"http://{service.address}{arguments[-1]}"]
        folder = self.folder("crowd")
        with open(folder / "log", "wb") as output:
            return self._children.start(command, cwd=str(folder), output=output)

    def spin(self) -> subprocess.Popen[bytes]:
        """A process that takes a core, whenever nobody else wants it."""
        folder = self.folder("spin")
        with open(folder / "log", "wb") as output:
            command = [*WHEN_IDLE, sys.executable, "-c", "while True: pass"]
            return self._children.start(command, cwd=str(folder), output=output)

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        self._children.stop(process)

    def slow_path(self, port: int, delay: float) -> int:
        """A port that leads to another one, and holds everything that is sent there for so many seconds."""
        log = self.folder("proxy") / "log"
        with open(log, "wb") as output:
            command = [sys.executable, str(HERE / "delay_proxy.py"), str(port), str(delay)]
            process = self._children.start(command, cwd=str(self._folder), output=output)
        deadline = time.monotonic() + PROXY_TIMEOUT
        while not log.read_text().endswith("\n"):
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"the proxy did not start: {log.read_text()}")
            time.sleep(0.05)
        return int(log.read_text())
