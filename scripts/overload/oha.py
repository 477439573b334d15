"""Runs the load generator, and reads the outcome of each request."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from bearer import CREDENTIALS
from children import Children
from report import quantile

# The timeout of a request. The service's own deadline is far below.
REQUEST_TIMEOUT = 10
# How long a run may take beyond its load, for the last answers and oha's own bookkeeping.
BOOK_KEEPING = 60


@dataclass
class Request:
    """The requests of oha: `path` is a regular expression from which each request's path is generated."""

    path: str
    method: str = "GET"
    options: list[str] = field(default_factory=list)


class Run:
    """One run of oha. With a rate it is an open loop: requests are due at fixed times, whatever happened to earlier
    ones, and latency counts from the due time. Without a rate, each connection sends the next request after the last
    answer."""

    def __init__(
        self,
        children: Children,
        program: str,
        folder: Path,
        address: str,
        request: Request,
        *,
        seconds: float,
        connections: int,
        rate: float | None = None,
    ) -> None:
        self._children = children
        self._folder = folder
        self._seconds = seconds
        command = [program, "--no-tui", "--no-color", "-z", f"{seconds}s", "-w", "-t", f"{REQUEST_TIMEOUT}s"]
        command += ["-c", str(connections), "--output-format", "json", "-o", "summary.json", "--db-url", "requests.db"]
        if rate is not None:
            command += ["-q", f"{rate:.2f}", "--latency-correction"]
        command += ["-H", f"Authorization: {CREDENTIALS}", "-m", request.method, *request.options, "--rand-regex-url", f"http://{address}{request.path}"]
        with open(folder / "log", "wb") as log:
            self.start = time.monotonic()
            self._process = children.start(command, cwd=str(folder), output=log)
        self.end = self.start + seconds

    def step_aside(self) -> None:
        """After its load, gives oha's bookkeeping a low priority, so that the next measurement has the cores."""
        for thread in Path(f"/proc/{self._process.pid}/task").glob("*"):
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, int(thread.name), 19)

    def finish(self) -> Results:
        """Waits for the end of the run."""
        try:
            code = self._process.wait(max(0.0, self.end - time.monotonic()) + REQUEST_TIMEOUT + BOOK_KEEPING)
        except subprocess.TimeoutExpired:
            code = None
        self._children.stop(self._process)
        if code != 0:
            raise RuntimeError(f"oha failed ({code}): {(self._folder / 'log').read_text(errors='replace')}")
        summary = json.loads((self._folder / "summary.json").read_text())
        return Results(self._folder / "requests.db", summary["errorDistribution"], self._seconds)


class Results:
    """The outcomes of the requests of a run. Times are seconds from its start."""

    def __init__(self, database: Path, errors: dict[str, int], seconds: float) -> None:
        self.errors = errors
        self._seconds = seconds
        self._database = sqlite3.connect(database)
        # Without a rate, the due time is when the request was sent.
        self._database.execute(
            """
            CREATE TEMP VIEW request AS
            SELECT coalesce(start_latency_correction, start) AS due, end, duration, status,
                CASE WHEN status BETWEEN 200 AND 299 OR status = 409 THEN 'good'
                    WHEN status = 503 THEN 'refused'
                    ELSE 'other' END AS outcome
            FROM oha
            """
        )

    def latencies(self, outcome: str, since: float, until: float = math.inf) -> list[float]:
        """The latencies of the requests that were due in this time and had this outcome."""
        return self._numbers(
            "SELECT duration FROM request WHERE outcome = ? AND due >= ? AND due < ?", outcome, since, until
        )

    def p99(self, outcome: str, since: float, until: float = math.inf) -> float:
        return quantile(self.latencies(outcome, since, until), 0.99)

    def longest(self) -> float:
        return max(self._numbers("SELECT duration FROM request"), default=math.nan)

    def last_due(self, outcome: str) -> float:
        """When the last request with this outcome was due."""
        return max(self._numbers("SELECT due FROM request WHERE outcome = ?", outcome), default=math.nan)

    def offered(self, since: float) -> float:
        """Requests per second, from `since` to the end of the load."""
        due = self._numbers("SELECT count(*) FROM request WHERE due >= ? AND due < ?", since, self._seconds)[0]
        return due / (self._seconds - since)

    def goodput(self, since: float, until: float | None = None) -> float:
        """Good answers per second, by their times of arrival."""
        until = self._seconds if until is None else until
        good = "SELECT count(*) FROM request WHERE outcome = 'good' AND end >= ? AND end < ?"
        return self._numbers(good, since, until)[0] / (until - since)

    def statuses(self) -> dict[int, int]:
        return dict(self._database.execute("SELECT status, count(*) FROM request GROUP BY status ORDER BY status"))

    def failures(self, *allowed: int) -> str:
        """All outcomes except good answers and these statuses, as text; empty if there are none."""
        others = {
            str(status): count
            for status, count in self.statuses().items()
            if not (200 <= status <= 299 or status == 409 or status in allowed)
        }
        return ", ".join(f"{count} x {what}" for what, count in {**others, **self.errors}.items())

    def _numbers(self, query: str, *values: object) -> list[float]:
        return [row[0] for row in self._database.execute(query, values)]
