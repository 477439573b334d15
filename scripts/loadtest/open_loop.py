"""An open loop, beside oha with its latency correction."""

from __future__ import annotations

from statistics import median

from oha import Request, Run
from report import quantile
from tools import CONNECTIONS, USERS, WARM_UP, Figures, Tools

STORY = f"reads of one of {USERS:,} users at fixed rates, alternately"
SHARES = (0.1, 0.5, 0.9)
# Four digits, and each id as likely as any other.
IDS = Request("/api/v2/users/[1-9][0-9]{3}")


def run(tools: Tools) -> None:
    # Of the slower of both: beyond that they would not do the same.
    capacity = min(median(tools.load().rate for _ in range(tools.rounds)), median(oha(tools).rate for _ in range(tools.rounds)))
    tools.report.note("capacity, of the slower tool in a closed loop", f"{capacity:.0f}/s")
    for share in SHARES:
        ours, theirs = [], []
        for _ in range(tools.rounds):
            ours.append(tools.load(capacity * share))
            theirs.append(oha(tools, capacity * share))
        tools.compare(f"{share:.0%} of capacity", ours, theirs, "oha")


def oha(tools: Tools, rate: float | None = None) -> Figures:
    # It has no warm-up: its first requests are left out.
    run = Run(
        tools.children,
        tools.oha,
        tools.folder("oha"),
        tools.service.address,
        IDS,
        seconds=tools.seconds + WARM_UP,
        connections=CONNECTIONS,
        rate=rate,
    )
    results = run.finish()
    if failures := results.failures():
        raise RuntimeError(f"oha: {failures}")
    latencies = results.latencies("good", WARM_UP)
    return Figures(results.goodput(WARM_UP), quantile(latencies, 0.5), quantile(latencies, 0.99))
