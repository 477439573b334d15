"""A closed loop, beside wrk."""

from __future__ import annotations

from tools import CONNECTIONS, USERS, Figures, Tools
from wrk import Wrk

STORY = f"reads of one of {USERS:,} users on {CONNECTIONS} connections, alternately"
PATHS = [f"/api/v2/users/{number}" for number in range(1, USERS + 1)]


def run(tools: Tools) -> None:
    ours, theirs = [], []
    for _ in range(tools.rounds):
        ours.append(tools.load())
        answers = Wrk(
            tools.children,
            tools.folder("wrk"),
            tools.service.url,
            connections=CONNECTIONS,
            seconds=tools.seconds,
            paths=PATHS,
        ).finish()
        if answers.refused or answers.broken:
            raise RuntimeError(f"wrk: {answers}")
        theirs.append(Figures(answers.rate, answers.p50, answers.p99))
    # Not the 99th percentile: wrk adds latencies there that it thinks it has omitted.
    tools.compare("closed loop", ours, theirs, "wrk", ("rate", "p50"))
