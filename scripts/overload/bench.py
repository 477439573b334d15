"""What every scenario needs: a folder, the programs, the databases, and the report."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from children import Children
from oha import Request, Run
from prober import Prober
from report import Report
from service import Service
from workbench import Workbench

HERE = Path(__file__).parent
PROXY_TIMEOUT = 10.0
WHEN_IDLE = ["chrt", "--idle", "0"]


class Bench(Workbench):
    def __init__(self, program: str, oha: str, folder: Path, children: Children, report: Report) -> None:
        super().__init__(program, folder, children, report)
        self._oha = oha

    def serve(self, url: str, **variables: str) -> Service:
        return Service(self.children, self.program, self.folder("service"), url, variables)

    def load(
        self, service: Service, request: Request, *, seconds: float, connections: int, rate: float | None = None
    ) -> Run:
        folder = self.folder("load")
        return Run(
            self.children,
            self._oha,
            folder,
            service.address,
            request,
            seconds=seconds,
            connections=connections,
            rate=rate,
        )

    def probe(self, service: Service, probes: list[dict[str, object]]) -> Prober:
        return Prober(self.children, self.folder("probe"), service.url, probes)

    def crowd(
        self, service: Service, sockets: int, arguments: list[str], seconds: float
    ) -> subprocess.Popen[bytes]:
        """Starts slow clients, all of them within two seconds, which send something every two seconds. The last
        argument is a path."""
        rate, length = str(sockets // 2), str(round(seconds))
        command = [*WHEN_IDLE, "slowhttptest", "-c", str(sockets), "-r", rate, "-l", length, "-i", "2", "-p", "3"]
        command += [*arguments[:-1], f"http://{service.address}{arguments[-1]}"]
        folder = self.folder("crowd")
        with open(folder / "log", "wb") as output:
            return self.children.start(command, cwd=str(folder), output=output)

    def spin(self) -> subprocess.Popen[bytes]:
        """Starts a process that uses a core whenever it is idle."""
        folder = self.folder("spin")
        with open(folder / "log", "wb") as output:
            command = [*WHEN_IDLE, sys.executable, "-c", "while True: pass"]
            return self.children.start(command, cwd=str(folder), output=output)

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        self.children.stop(process)

    def slow_path(self, port: int, delay: float) -> int:
        """A port that forwards to another one, and delays everything that is sent there by `delay` seconds."""
        log = self.folder("proxy") / "log"
        with open(log, "wb") as output:
            command = [sys.executable, str(HERE / "delay_proxy.py"), str(port), str(delay)]
            process = self.children.start(command, cwd=str(self._folder), output=output)
        deadline = time.monotonic() + PROXY_TIMEOUT
        while not log.read_text().endswith("\n"):
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"the proxy did not start: {log.read_text()}")
            time.sleep(0.05)
        return int(log.read_text())
