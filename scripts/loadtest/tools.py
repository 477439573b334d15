"""What the scenarios share: a service with users, and the load tester."""

from __future__ import annotations

import argparse
import functools
import json
import os
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bearer import CREDENTIALS
from bench import Bench
from children import Children, run
from report import Report, milliseconds
from service import Service

USERS = 50_000
CONNECTIONS = 128
# Between the service and its database, in seconds.
DELAY = 0.02
# Seconds.
WARM_UP = 1
# How far two tools may be apart.
APART = 0.05


@dataclass
class Figures:
    """What a tool says of a run. Latencies are in seconds."""

    rate: float
    p50: float
    p99: float


class Tools(Bench):
    def __init__(self, arguments: argparse.Namespace, folder: Path, children: Children, report: Report) -> None:
        super().__init__(arguments.program, arguments.oha, folder, children, report)
        self.oha, self.locust = arguments.oha, arguments.locust
        self.rounds, self.seconds = arguments.rounds, arguments.seconds
        self._loadtest = arguments.loadtest

    @functools.cached_property
    def service(self) -> Service:
        """With users of the ids 1 to USERS. Small batches and the way to the database limit what it can carry: without
        them it answers faster than a tool on the same machine can ask, and each tool would measure what it takes from the
        service itself."""
        database = "users"
        self.seed(self.postgres.create_database(database), USERS)
        port = self.slow_path(self.postgres.port, DELAY)
        service = self.serve(self.postgres.url(database, port), DB_MAX_BATCH="32", DB_LOOKUP_ACTORS="1")
        # Warms it up.
        self._load(service, None)
        return service

    @property
    def token(self) -> str:
        return CREDENTIALS.removeprefix("Bearer ")

    def load(self, rate: float | None = None) -> Figures:
        """A run of the load tester that reads these users: an open loop if it has a rate."""
        return self._load(self.service, rate)

    def _load(self, service: Service, rate: float | None) -> Figures:
        command = [self._loadtest, "--url", service.url, "--scenario", "read", "--ids", f"1-{USERS}", "--server-timing", "0"]
        command += ["--connections", str(CONNECTIONS), "--duration", f"{self.seconds}s", "--warm-up", f"{WARM_UP}s"]
        command += [] if rate is None else ["--rate", f"{rate:.2f}"]
        folder = self.folder("load")
        command += ["--token", self.token, "--report", str(folder / "report.html")]
        run(command, cwd=str(folder), timeout=self.seconds + 120, env={"PATH": os.environ["PATH"]})
        return figures(json.loads((folder / "report.json").read_text()))

    def compare(
        self, what: str, ours: list[Figures], theirs: list[Figures], other: str, names: tuple[str, ...] = ("rate", "p50", "p99")
    ) -> None:
        """The medians of both, and whether they are close enough."""
        for name in names:
            one, two = (median(getattr(figure, name) for figure in figures) for figures in (ours, theirs))
            show = (lambda value: f"{value:.0f}/s") if name == "rate" else milliseconds_of
            # The spread of each tool alone says how much of a difference is the machine's.
            spread = max(spread_of([getattr(it, name) for it in figures]) for figures in (ours, theirs))
            is_close = abs(one / two - 1) <= APART
            text = f"{show(one)}, {other} {show(two)}: {one / two:.3f} (spread {spread:.0%})"
            self.report.check(f"{what}: {name}", text, f"within {APART:.0%}", is_close)


def milliseconds_of(seconds: float) -> str:
    return f"{seconds * 1000:.3f} ms" if seconds < 0.01 else milliseconds(seconds)


def spread_of(values: list[float]) -> float:
    """Half of the range, beside the median."""
    return (max(values) - min(values)) / 2 / median(values)


def figures(run: dict) -> Figures:
    """Of a file of the load tester."""
    pairs = run["operations"]["read"]["latencies"]["nanoseconds"]
    requests = run["operations"]["read"]["requests"]
    if run["operations"]["read"]["failed"]:
        raise RuntimeError(f"requests failed: {run['errors']}")

    def quantile(share: float) -> float:
        seen = 0
        for value, count in pairs:
            seen += count
            if seen >= share * requests:
                return value / 1e9
        raise RuntimeError("a histogram without latencies")

    within = sum(window["requests"] for window in run["windows"][: round(run["seconds"] / run["window"])])
    return Figures(within / run["seconds"], quantile(0.5), quantile(0.99))
