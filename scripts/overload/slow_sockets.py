"""A thousand clients that send or read as slowly as they can (slowhttptest): other clients must hardly notice, and the
slow ones must lose their connections."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bearer import CREDENTIALS
from bench import Bench
from prober import Prober
from report import milliseconds, quantile
from service import Service

STORY = "1,000 slow sockets at once, in each mode of slowhttptest"
SOCKETS = 1000
USERS = 10_000
# The number of other clients, and how often each looks up a user on its connection.
OTHERS = 10
EVERY = 0.02
QUIET_SECONDS = 10
# Time to open all connections, and for a busy machine to close them.
SLACK = 5
TIMES = 2
# Half of a usual container's memory. Nearly all of it holds requests that are queued in their connections.
MEMORY_MIB = 128


@dataclass
class Mode:
    name: str
    arguments: list[str]
    limit: float
    """The seconds that the service's defaults allow; see docs/configuration.md."""


# slowhttptest has no option for a token, but sends this header unchanged.
TYPE = f"application/json\r\nAuthorization: {CREDENTIALS}"
MODES = [
    Mode("heads", ["-H", "-u", "/api/v2/users/1"], 5 + 1),
    Mode("bodies", ["-B", "-s", "65000", "-f", TYPE, "-u", "/api/v2/users"], 10 + 1),
    Mode("reads", ["-X", "-k", "10", "-w", "512", "-y", "1024", "-n", "1", "-z", "32", "-u", "/openapi.json"], 30),
]


def run(bench: Bench) -> None:
    for mode in MODES:
        _prove(bench, mode)


def _prove(bench: Bench, mode: Mode) -> None:
    url = f"sqlite://{bench.folder('sqlite') / 'users.db'}"
    bench.seed(url, USERS)
    service = bench.serve(url)
    look_up = {"name": "others", "path": "/api/v2/users/1", "every": EVERY}
    prober = bench.probe(service, [look_up] * OTHERS)
    # slowhttptest never sleeps, which alone delays a process that shares its cores. So the quiet phase has a spinning
    # process, too.
    spinning = bench.spin()
    time.sleep(QUIET_SECONDS)
    bench.stop(spinning)
    usual = service.sockets()
    begin = time.monotonic()
    crowd = bench.crowd(service, SOCKETS, mode.arguments, mode.limit + 3 * SLACK)
    most, end = _watch(service, usual, begin + mode.limit + 2 * SLACK)
    bench.report.check(f"{mode.name}: at once", f"{most - usual} slow sockets", f">= {SOCKETS}", most - usual >= SOCKETS)
    took = end - begin
    allowed = mode.limit + SLACK
    bench.report.check(f"{mode.name}: closed", f"all after {took:.1f} s", f"<= {allowed:.0f} s", took <= allowed)
    _report_others(bench, mode, prober, begin, end)
    memory = service.peak_memory()
    measured = f"{memory:.1f} MiB"
    bench.report.check(f"{mode.name}: memory, peak", measured, f"<= {MEMORY_MIB} MiB", memory <= MEMORY_MIB)
    bench.stop(crowd)
    service.stop()


def _watch(service: Service, usual: int, give_up: float) -> tuple[int, float]:
    """The peak number of sockets, and when the number was back to usual."""
    most = 0
    while time.monotonic() < give_up:
        now = service.sockets()
        most = max(most, now)
        if now <= usual < most - SOCKETS / 2:
            break
        time.sleep(0.05)
    return most, time.monotonic()


def _report_others(bench: Bench, mode: Mode, prober: Prober, begin: float, end: float) -> None:
    before = prober.answers("others", begin - QUIET_SECONDS, begin)
    prober.stop()
    during = prober.answers("others", begin, end)
    quiet, busy = (quantile([one.took for one in answers], 0.99) for answers in (before, during))
    measured = f"{milliseconds(busy)}, before {milliseconds(quiet)}"
    bench.report.check(f"{mode.name}: p99 of {len(during)} others", measured, f"< {TIMES} x", busy < TIMES * quiet)
    failed = sum(one.status != 200 for one in during)
    bench.report.check(f"{mode.name}: others that failed", str(failed), "0", failed == 0)
