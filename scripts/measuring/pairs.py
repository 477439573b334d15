"""Two loads in turn, pair after pair, until it is known well enough how they compare."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TypedDict

import interval
import report
from clients import Wrk
from interval import Interval

# With fewer, an interval may be narrow by luck.
LEAST = 10
NARROW = 0.03

Answers = dict[str, float]

# What decides when there are enough pairs. Latencies are told but not waited for: a 99th percentile never settles.
_DECIDING = ("rate", "server_us", "database_us", "cpu_us")


class Compared(TypedDict):
    ours: float
    theirs: float
    ratio: Interval


@dataclass
class Pairs:
    """What was measured of two loads in turn: "ours", of which the ratios are multiples of "theirs"."""

    rounds: list[tuple[Answers, Answers]] = field(default_factory=list)

    def compared(self) -> dict[str, Compared]:
        """Each measure's medians and ratio."""
        return {measure: self._compared(measure) for measure in self.rounds[0][0]}

    def are_enough(self, most: int) -> bool:
        """Looks at the intervals' width only: to stop as soon as there is a verdict would favour that verdict."""
        count = len(self.rounds)
        if count < min(LEAST, most):
            return False
        deciding = (self._compared(measure)["ratio"] for measure in _DECIDING if measure in self.rounds[0][0])
        return count >= most or all(ratio.width() < NARROW for ratio in deciding)

    def _compared(self, measure: str) -> Compared:
        ours, theirs = ([answers[measure] for answers in side] for side in zip(*self.rounds, strict=True))
        ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
        return Compared(
            ours=statistics.median(ours), theirs=statistics.median(theirs), ratio=interval.of_ratios(ratios)
        )


def measure(ours: Wrk, theirs: Wrk, connections: int, seconds: int, most: int, what: str) -> Pairs:
    """Repeats pairs of rounds until they are enough."""
    pairs = Pairs()
    while not pairs.rounds or not pairs.are_enough(most):
        report.step(f"{what}: pair {len(pairs.rounds) + 1} of at most {most}")
        # Each is the first in turn, so that it is not always the same one that comes after the other's writes.
        if len(pairs.rounds) % 2:
            their, our = _round(theirs, connections, seconds), _round(ours, connections, seconds)
        else:
            our, their = _round(ours, connections, seconds), _round(theirs, connections, seconds)
        pairs.rounds.append((our, their))
    return pairs


def _round(client: Wrk, connections: int, seconds: int) -> Answers:
    """With the CPU time of service and database together; without a database, nothing but that."""
    answers = client.measure(connections, seconds)
    server, database = answers.pop("server_us"), answers.pop("database_us")
    if database is None:
        return answers | {"cpu_us": server}
    return answers | {"server_us": server, "database_us": database, "cpu_us": server + database}
