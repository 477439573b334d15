"""A closed loop, beside wrk."""

from __future__ import annotations

from tools import CONNECTIONS, USERS, Figures, Tools
from wrk import Wrk

STORY = f"reads of one of {USERS:,} users on {CONNECTIONS} connections, rounds in turns"


def run(tools: Tools) -> None:
    url = tools.service.url
    ours, theirs = [], []
    for _ in range(tools.rounds):
        ours.append(tools.load())
        paths = [f"/api/v2/users/{number}" for number in range(1, USERS + 1)]
        answers = Wrk(
            tools.children, tools.folder("wrk"), url, connections=CONNECTIONS, seconds=tools.seconds, paths=paths
        ).finish()
        if answers.refused or answers.broken:
            raise RuntimeError(f"wrk: {answers}")
        theirs.append(Figures(answers.rate, answers.p50, answers.p99))
    tools.compare("closed loop", ours, theirs, "wrk")
