"""An open loop, beside oha with its latency correction."""

from __future__ import annotations

from statistics import median

from oha import Request, Run
from report import quantile
from tools import CONNECTIONS, USERS, Figures, Tools

STORY = f"reads of one of {USERS:,} users at fixed rates, rounds in turns"
SHARES = (0.1, 0.5, 0.9)
# Four digits, and each id as likely as any other.
IDS = Request("/api/v2/users/[1-9][0-9]{3}")


def run(tools: Tools) -> None:
    capacity = median(capacity_of(tools) for _ in range(tools.rounds))
    tools.report.note("capacity, where both tools keep up", f"{capacity:.0f}/s")
    for share in SHARES:
        rate = capacity * share
        ours, theirs = [], []
        for _ in range(tools.rounds):
            ours.append(tools.load(rate))
            theirs.append(by_oha(tools, rate))
        tools.compare(f"{share:.0%} of capacity", ours, theirs, "oha")


def capacity_of(tools: Tools) -> float:
    """Of the two tools' closed loops the slower one: on one machine a generator takes cores from the service, and at
    a rate that only one can send the two would not do the same."""
    return min(tools.load().rate, by_oha(tools, None).rate)


def by_oha(tools: Tools, rate: float | None) -> Figures:
    run = Run(
        tools.children,
        tools.oha,
        tools.folder("oha"),
        tools.service.address,
        IDS,
        seconds=tools.seconds,
        connections=CONNECTIONS,
        rate=rate,
    )
    results = run.finish()
    if failures := results.failures():
        raise RuntimeError(f"oha: {failures}")
    latencies = results.latencies("good", 0)
    return Figures(results.goodput(0), quantile(latencies, 0.5), quantile(latencies, 0.99))
