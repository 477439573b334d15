"""PostgreSQL hangs: all of its processes are stopped (SIGSTOP), its connections stay open, and nothing answers."""

from __future__ import annotations

import math
import time

from bench import Bench
from oha import Request, Results
from overload import HEALTH_SECONDS, MEMORY_MIB, back_to_normal
from prober import Prober, health_probes
from report import milliseconds, quantile
from service import Service

STORY = "a moderate load while PostgreSQL is frozen (SIGSTOP) and goes on (SIGCONT)"
DEADLINE = 2.0
LATE = 0.5
POOL_SIZE = 5
# How many connections r2d2 opens at once, each in its own thread.
CONNECTING = 3

NORMAL_SECONDS = 5
FROZEN_SECONDS = 8
RECOVERY_SECONDS = 5
READS = 300
WRITES = 100


def run(bench: Bench) -> None:
    database = "frozen"
    url = bench.postgres.create_database(database)
    bench.seed(url, 10_000)
    service = bench.serve(url, DB_DEADLINE=f"{DEADLINE:.0f}s", DB_POOL_SIZE=str(POOL_SIZE))
    prober = bench.probe(service, health_probes("/health", "/ready"))
    seconds = NORMAL_SECONDS + FROZEN_SECONDS + RECOVERY_SECONDS + NORMAL_SECONDS
    path = "/api/v2/users/[1-9][0-9]{3}"
    write = ["-T", "application/merge-patch+json", "-d", '{"name":"Grace Hopper"}']
    # Connections for three seconds of requests in the service at once, more than the deadline allows.
    reads = bench.load(service, Request(path), seconds=seconds, connections=3 * READS, rate=READS)
    writes = bench.load(service, Request(path, "PATCH", write), seconds=seconds, connections=3 * WRITES, rate=WRITES)

    time.sleep(NORMAL_SECONDS)
    watch = Watch(service, bench.postgres.port)
    threads = service.threads()
    freeze = time.monotonic()
    with bench.postgres.frozen():
        watch.sleep_until(freeze + FROZEN_SECONDS)
        thaw = time.monotonic()
    watch.sleep_until(thaw + RECOVERY_SECONDS)
    # From here on the test measures latency, and watching would cost time.
    time.sleep(max(0.0, reads.end - time.monotonic()))
    prober.stop()
    loads = {"reads": reads.finish(), "writes": writes.finish()}

    check = bench.report.check
    _report_requests(bench, loads)
    _report_health(bench, prober, freeze, thaw)
    memory = service.peak_memory()
    check("memory, peak", f"{memory:.1f} MiB", f"<= {MEMORY_MIB} MiB", memory <= MEMORY_MIB)
    # A call that hangs for twice the deadline is abandoned, with its thread and its connection. New connections cannot
    # hang in a call, because PostgreSQL does not accept them.
    most = threads + POOL_SIZE + CONNECTING
    demand = f"<= {most}, as before and as many as hung or connect"
    check("threads, at most", f"{watch.threads}", demand, watch.threads <= most)
    most = 2 * POOL_SIZE
    demand = f"<= {most}, the pool and as many that hang"
    check("connections to PostgreSQL, at most", f"{watch.connections}", demand, watch.connections <= most)
    for name, load in loads.items():
        _report_recovery(bench, name, load, freeze - reads.start, thaw - reads.start)
    ready = [answer.status for answer in prober.answers("/ready", thaw + RECOVERY_SECONDS, math.inf)]
    good = ready.count(200)
    check(f"/ready, from {RECOVERY_SECONDS} s after SIGCONT", f"{good}/{len(ready)} 200", "all", 0 < good == len(ready))
    service.stop()


class Watch:
    """Watches what could accumulate in the service while time passes."""

    def __init__(self, service: Service, port: int) -> None:
        self._service = service
        self._port = port
        self.threads = 0
        self.connections = 0

    def sleep_until(self, end: float) -> None:
        while time.monotonic() < end:
            self.threads = max(self.threads, self._service.threads())
            self.connections = max(self.connections, self._service.connections_to(self._port))
            time.sleep(0.1)


def _report_requests(bench: Bench, loads: dict[str, Results]) -> None:
    check = bench.report.check
    offered = sum(load.offered(0) for load in loads.values())
    check(
        "offered, throughout", f"{offered:.0f}/s", f">= 95% of {READS + WRITES}/s", offered >= 0.95 * (READS + WRITES)
    )
    longest = max(load.longest() for load in loads.values())
    limit = DEADLINE + LATE
    check("longest request", f"{longest:.3f} s", f"<= {limit} s, deadline + {LATE} s", longest <= limit)
    failures = ", ".join(filter(None, (load.failures(503, 504) for load in loads.values())))
    check("answers but good ones, 503 and 504", failures or "none", "none", not failures)
    for name, load in loads.items():
        statuses = ", ".join(f"{count} x {status}" for status, count in load.statuses().items())
        bench.report.note(f"{name}, answers", statuses)


def _report_health(bench: Bench, prober: Prober, freeze: float, thaw: float) -> None:
    for path in ("/health", "/ready"):
        answers = prober.answers(path, freeze, thaw)
        took = [answer.took for answer in answers]
        p99 = quantile(took, 0.99)
        measured = f"p99 {milliseconds(p99)}, max {milliseconds(max(took))}"
        demand = f"p99 < {milliseconds(HEALTH_SECONDS)}"
        holds = p99 < HEALTH_SECONDS
        if path == "/health":
            good = sum(answer.status == 200 for answer in answers)
            measured += f", {good}/{len(answers)} 200"
            demand += ", all 200"
            holds = holds and good == len(answers)
        bench.report.check(f"{path}, while frozen", measured, demand, holds)


def _report_recovery(bench: Bench, name: str, load: Results, freeze: float, thaw: float) -> None:
    """The times are seconds from the start of the loads, which began together."""
    last = max(load.last_due("refused"), load.last_due("other")) - thaw
    bench.report.note(f"{name}, last one refused or lost", f"due {last:.1f} s after SIGCONT")
    before, after = load.p99("good", 1, freeze), load.p99("good", thaw + RECOVERY_SECONDS)
    limit = back_to_normal(before)
    well = last < RECOVERY_SECONDS and after <= limit
    measured = f"p99 {milliseconds(after)}, before {milliseconds(before)}"
    demand = f"p99 <= {milliseconds(limit)}, all good"
    bench.report.check(f"{name}, from {RECOVERY_SECONDS} s after SIGCONT", measured, demand, well)
