"""The maximum number of connections, all of unauthenticated clients that misuse them in the same way, one way after
another. Each connection costs the service at most what docs/operations.md says, and clients with a token are served
meanwhile."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cgroup
import service
from deeds import PROTOCOLS
from full_load import CORES, HERE, MEMORY_MIB, OPEN_FILES, USERS, Bench, report_group, settings
from prober import Prober
from report import Report, milliseconds, quantile
from service import Service

# The duration of all deeds of a protocol together.
SECONDS = 60.0
# The peak, with the most that docs/operations.md allows for each connection.
PEAK_MIB = 240
# Connections for the clients that are served meanwhile, and for probes.
FREE = 10
# The share of the strangers' connections that must have been open at once for the proof to count.
SHARE = 0.9
# The longest that a client with a token may wait for an answer meanwhile.
PATIENCE = 2.0
READ = "a read over REST"


@dataclass
class Strangers:
    protocol: str

    @property
    def STORY(self) -> str:
        return f"{MEMORY_MIB} MiB and {CORES} cores, and every connection a stranger's, over {self.protocol}"

    def run(self, bench: Bench) -> None:
        folder = bench.folder / f"strangers-{self.protocol}"
        folder.mkdir()
        url = f"sqlite://{folder / 'users.db'}"
        service.seed(bench.program, folder, url, USERS)
        with cgroup.limited(MEMORY_MIB * 2**20, CORES) as group:
            bench.report.note("limited by", group.how)
            variables = settings()
            count = int(variables["MAX_CONNECTIONS"]) - FREE
            prefix = [*group.prefix, "sh", "-c", f'ulimit -S -n {OPEN_FILES} && exec "$0" "$@"']
            limited = Service(bench.children, bench.program, folder, url, variables, prefix)
            try:
                self._meet(bench, folder, limited, count)
                report_group(bench.report, group, limited, PEAK_MIB)
            finally:
                limited.stop()

    def _meet(self, bench: Bench, folder: Path, limited: Service, count: int) -> None:
        read = {"name": "read", "path": "/api/v2/users/1", "every": 0.1}
        prober = Prober(bench.children, folder, limited.url, [read])
        bystander = _Other(bench, folder, "bystander", limited.grpc_address)
        # The clients connect before the crowd, and keep their connections.
        time.sleep(1)
        address = limited.grpc_address if self.protocol == "gRPC" else limited.address
        deeds = PROTOCOLS[self.protocol]
        for deed in deeds:
            begin = time.monotonic()
            strangers = _Other(bench, folder, "stranger", address, str(count), self.protocol, deed)
            time.sleep(SECONDS / len(deeds))
            most, lost = strangers.most_open()
            strangers.stop()
            what = f"strangers, {deed}"
            if limited.has_ended():
                bench.report.check(what, f"{most} open, and the service ended", "it goes on", False)
                return
            measured = f"{most} open at once, {lost} lost; {limited.memory():.0f} MiB"
            bench.report.check(what, measured, f">= {count * SHARE:.0f} at once", most >= count * SHARE)
            calls = [(took, good) for at, took, good in bystander.calls() if at >= begin]
            _report_served(bench.report, f"calls over gRPC, strangers {deed}", calls)
            answers = prober.answers("read", begin, time.monotonic())
            _report_served(
                bench.report,
                f"reads over REST, strangers {deed}",
                [(answer.took, answer.status == 200) for answer in answers],
            )
        prober.stop()
        bystander.stop()


def _report_served(report: Report, what: str, calls: list[tuple[float, bool]]) -> None:
    served = sum(good for _, good in calls)
    longest = max((took for took, _ in calls), default=PATIENCE * 2)
    p99 = milliseconds(quantile([took for took, _ in calls], 0.99))
    measured = f"{served} of {len(calls)} served, p99 {p99}, longest {milliseconds(longest)}"
    demand = f"all, within {milliseconds(PATIENCE)}"
    report.check(what, measured, demand, 0 < served == len(calls) and longest <= PATIENCE)


class _Other:
    """A process from this folder that runs by itself and logs what happens."""

    def __init__(self, bench: Bench, folder: Path, name: str, *arguments: str) -> None:
        self._children = bench.children
        self._log = folder / "-".join([name, *arguments[2:]])
        with open(self._log, "wb") as output:
            command = [sys.executable, "-B", str(HERE / f"{name}.py"), *arguments]
            self._process = bench.children.start(command, cwd=str(folder), output=output)

    def stop(self) -> None:
        self._children.stop(self._process)

    def calls(self) -> list[tuple[float, float, bool]]:
        return [(float(at), float(took), good == "1") for at, took, good in self._lines()]

    def most_open(self) -> tuple[int, int]:
        """The most connections that were open at once, and the number that was lost."""
        told = [(int(is_open), int(lost)) for is_open, lost in self._lines()]
        return max((is_open for is_open, _ in told), default=0), max((lost for _, lost in told), default=0)

    def _lines(self) -> list[list[str]]:
        whole = self._log.read_text().rpartition("\n")[0]
        return [line.split() for line in whole.splitlines()]
