"""Probes the service under load, from its own process (`probe.py`)."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from children import Children

PROGRAM = Path(__file__).parent / "probe.py"


@dataclass
class Answer:
    due: float
    """By the monotonic clock."""
    took: float
    status: int
    retry_after: bool


class Prober:
    def __init__(self, children: Children, folder: Path, url: str, probes: list[dict[str, object]]) -> None:
        self._children = children
        self._answers = folder / "answers"
        with open(self._answers, "wb") as output:
            command = [sys.executable, str(PROGRAM), url, json.dumps(probes)]
            self._process = children.start(command, cwd=str(folder), output=output)

    def niceness(self) -> int:
        return os.getpriority(os.PRIO_PROCESS, self._process.pid)

    def stop(self) -> None:
        # Time for the last requests to be answered.
        time.sleep(0.2)
        self._children.stop(self._process)

    def answers(self, name: str, since: float, until: float) -> list[Answer]:
        """The answers that were due in this time."""
        lines = self._answers.read_text().splitlines()
        found = [_parse(line) for line in lines if line.startswith(f"{name} ")]
        return [answer for answer in found if since <= answer.due < until]


def _parse(line: str) -> Answer:
    _name, due, took, status, retry_after = line.split()
    return Answer(float(due), float(took), int(status), retry_after == "1")


def health_probes(*paths: str) -> list[dict[str, object]]:
    """Each path 20 times a second on each of two connections, which different threads usually serve."""
    return [{"name": path, "path": path, "every": 0.05} for path in paths for _ in range(2)]
