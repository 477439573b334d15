"""All kinds of load at once, for half a minute, on a service with a quarter of a gigabyte and half a core."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cgroup
import service
from children import Children, run
from postgres import Postgres
from prober import Prober
from report import Report, milliseconds, quantile
from service import Service
from wrk import Wrk

HERE = Path(__file__).parent
MEMORY_MIB = 256
# With room for variation between runs.
PEAK_MIB = 192
CORES = 0.5
SECONDS = 30
USERS = 10_000
READERS = 1000
OPEN_PATIENCE = 60.0
# How long Kubernetes waits for an answer by default.
READY_SECONDS = 1.0
READY_EVERY = 0.1
# The share of due probes that must be sent. The first ones are not, while their process starts on busy cores.
READY_SHARE = 0.9
# The usual soft limit of a container. The service raises it.
OPEN_FILES = 1024
# The deployed settings are those that are proved.
SETTINGS = HERE.parents[1] / "deploy" / "k8s" / "base" / "settings.env"
# A body may have at most 64 KiB.
PADDING = 60_000


@dataclass
class Bench:
    program: str
    folder: Path
    children: Children
    report: Report
    postgres: Postgres | None = None


@dataclass
class FullLoad:
    database: str
    tls: bool = False

    @property
    def STORY(self) -> str:
        return f"{self.database}{' with TLS' if self.tls else ''}: {MEMORY_MIB} MiB and {CORES} cores, asked for everything"

    def run(self, bench: Bench) -> None:
        folder = bench.folder / f"{self.database}{'-tls' if self.tls else ''}"
        folder.mkdir()
        url = self._url(bench, folder)
        service.seed(bench.program, folder, url, USERS)
        with cgroup.limited(MEMORY_MIB * 2**20, CORES) as group:
            bench.report.note("limited by", group.how)
            deployed = settings()
            told = ", ".join(f"{name}={deployed[name]}" for name in ("MAX_CONNECTIONS", "EVENTS_MAX_READERS"))
            bench.report.note("as in deploy/k8s, with", told)
            variables = deployed | (_certificate(folder) if self.tls else {})
            prefix = [*group.prefix, "sh", "-c", f'ulimit -S -n {OPEN_FILES} && exec "$0" "$@"']
            limited = Service(bench.children, bench.program, folder, url, variables, prefix)
            try:
                _load(bench, folder, limited)
                report_group(bench.report, group, limited, PEAK_MIB)
            finally:
                limited.stop()

    def _url(self, bench: Bench, folder: Path) -> str:
        if self.database == "SQLite":
            return f"sqlite://{folder / 'users.db'}"
        # PostgreSQL is not limited, because it would be in another container.
        bench.postgres = bench.postgres or Postgres(bench.children, bench.folder)
        return bench.postgres.create_database(folder.name)


def settings() -> dict[str, str]:
    """The settings that deploy/ has."""
    lines = SETTINGS.read_text().splitlines()
    deployed = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    if deployed["EVENTS_MAX_READERS"] != str(READERS):
        raise RuntimeError(f"{SETTINGS} lets {deployed['EVENTS_MAX_READERS']} readers in, and here are {READERS}")
    return deployed


def _certificate(folder: Path) -> dict[str, str]:
    files = {"TLS_CERT": str(folder / "cert.pem"), "TLS_KEY": str(folder / "key.pem")}
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    make += ["-subj", "/CN=localhost", "-out", files["TLS_CERT"], "-keyout", files["TLS_KEY"]]
    run(make, cwd=str(folder), timeout=30)
    return files


def _load(bench: Bench, folder: Path, limited: Service) -> None:
    report = bench.report
    ready = {"name": "/ready", "path": "/ready", "every": READY_EVERY}
    prober = Prober(bench.children, folder, limited.url, [ready])
    begin = time.monotonic()
    crowd = _Crowd(bench, folder, limited)
    users = "/api/v2/users"
    # For each load: its connections, how many requests a second must be served at least, and the requests. A service
    # that refuses everything would not count as alive.
    loads = {
        "reads": (256, 300, {"paths": [f"{users}/{id}" for id in range(1, USERS + 1)]}),
        "creates": (64, 100, {}),
        "pages of 100": (64, 100, {"paths": [f"{users}?page_size=100", f"{users}?page_size=100&name_prefix=a"]}),
        "creates of 60 kB": (32, 25, {"padding": PADDING}),
    }
    running = {}
    for number, (name, (connections, _, options)) in enumerate(loads.items()):
        own = folder / f"wrk{number}"
        own.mkdir()
        running[name] = Wrk(bench.children, own, limited.url, connections=connections, seconds=SECONDS, **options)
    broken = 0
    for name, load in running.items():
        answers = load.finish()
        broken += answers.broken
        connections, least, _ = loads[name]
        done = (answers.requests - answers.refused) / SECONDS
        measured = f"{done:.0f}/s done, p99 {milliseconds(answers.p99)}, {answers.refused} refused"
        report.check(f"{name}, {connections} connections", measured, f">= {least}/s", done >= least)
    report.check("requests without an answer", str(broken), "0", broken == 0)
    is_open, ended, events = crowd.now()
    measured = f"{is_open} open, {ended} ended; told {events} events"
    report.check(f"readers of the live stream, of {READERS}", measured, "all open", is_open == READERS and events > 0)
    due = (time.monotonic() - begin) / READY_EVERY
    prober.stop()
    asked = prober.answers("/ready", begin, math.inf)
    good = sum(answer.status == 200 for answer in asked)
    least = math.ceil(due * READY_SHARE)
    measured = f"{good} of {len(asked)} 200; {due:.0f} were due"
    report.check("/ready, every 100 ms", measured, f"all, >= {least}", least <= good == len(asked))
    longest = max(answer.took for answer in asked)
    measured = f"{milliseconds(longest)}, p99 {milliseconds(quantile([answer.took for answer in asked], 0.99))}"
    report.check("/ready, the longest", measured, f"<= {milliseconds(READY_SECONDS)}", longest <= READY_SECONDS)


class _Crowd:
    def __init__(self, bench: Bench, folder: Path, limited: Service) -> None:
        self._log = folder / "crowd"
        with open(self._log, "wb") as output:
            command = [sys.executable, "-B", str(HERE / "crowd.py"), limited.url, str(READERS)]
            self._process: subprocess.Popen[bytes] = bench.children.start(command, cwd=str(folder), output=output)
        deadline = time.monotonic() + OPEN_PATIENCE
        while (now := self.now())[0] < READERS:
            if time.monotonic() > deadline or now[1]:
                raise RuntimeError(f"{now[0]} readers of {READERS} came in, {now[1]} did not")
            time.sleep(0.1)

    def now(self) -> tuple[int, int, int]:
        """The number of open streams, of ended ones, and of events received."""
        whole = self._log.read_text().rpartition("\n")[0]
        return tuple(map(int, whole.splitlines()[-1].split())) if whole else (0, 0, 0)


def report_group(report: Report, group: cgroup.CGroup, limited: Service, peak_mib: int) -> None:
    report.check("killed for want of memory", str(group.kills()), "0", group.kills() == 0 and not limited.has_ended())
    if not limited.has_ended():
        memory = limited.peak_memory()
        report.check("memory, peak", f"{memory:.1f} MiB", f"<= {peak_mib} MiB", memory <= peak_mib)
    report.note("memory of the group, with files in memory", f"{group.peak():.1f} MiB")
    throttled = group.throttled()
    report.check("periods of 100 ms cut short", str(throttled), "> 0, so the limit was felt", throttled > 0)
