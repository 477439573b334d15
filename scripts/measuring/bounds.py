"""What a change promised of its comparison with the commit before, and whether that is so."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from interval import Interval

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"

ANY = (1, 64, 256)
ONE = (1,)
MANY = (64, 256)


@dataclass(frozen=True)
class Bound:
    """Of the ratio of a measure: at the least, or at the most."""

    database: str
    kind: str
    connections: tuple[int, ...]
    measure: str
    least: float | None = None
    most: float | None = None
    # The variables that the program under test has set, no more and no fewer.
    environment: Mapping[str, str] = field(default_factory=dict)

    def is_for(self, database: str, kind: str, connections: int, measure: str) -> bool:
        return (database, kind, measure) == (self.database, self.kind, self.measure) and connections in self.connections

    def judge(self, ratio: Interval) -> str:
        """Fails, or holds, only if all of the interval says so."""
        if self.least is not None:
            return HOLDS if ratio.low >= self.least else FAILS if ratio.high < self.least else UNDECIDED
        assert self.most is not None
        return HOLDS if ratio.high <= self.most else FAILS if ratio.low > self.most else UNDECIDED

    def __str__(self) -> str:
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"


def _on_both(bound: Bound) -> list[Bound]:
    return [bound, dataclasses.replace(bound, database="sqlite")]


_STALE = {"MAX_STALENESS": "100ms"}

BOUNDS = {
    # Reads served from memory. `cpu_us` is the service's CPU time and PostgreSQL's together.
    "cache": [
        Bound("postgres", "read", ONE, "rate", least=1.0),
        Bound("postgres", "read", MANY, "rate", least=1.1),
        Bound("postgres", "read", ANY, "database_us", most=0.45),
        Bound("postgres", "read", ANY, "server_us", most=1.0),
        Bound("postgres", "read", ONE, "rate", least=2.5, environment=_STALE),
        Bound("postgres", "read", MANY, "rate", least=1.35, environment=_STALE),
        Bound("postgres", "read", ANY, "cpu_us", most=0.65, environment=_STALE),
        Bound("sqlite", "read", ONE, "rate", least=1.7),
        Bound("sqlite", "read", MANY, "rate", least=1.4),
        Bound("sqlite", "read/health", MANY, "rate", least=0.85),
        Bound("sqlite", "read", ANY, "cpu_us", most=0.7),
        *_on_both(Bound("postgres", "create", ANY, "rate", least=0.97)),
        *_on_both(Bound("postgres", "create", ANY, "cpu_us", most=1.03)),
        *_on_both(Bound("postgres", "update", ANY, "rate", least=0.97)),
        *_on_both(Bound("postgres", "update", ANY, "cpu_us", most=1.03)),
        *_on_both(Bound("postgres", "crud", ANY, "rate", least=1.1)),
        *_on_both(Bound("postgres", "crud", ANY, "cpu_us", most=0.9)),
        *_on_both(Bound("postgres", "cold", ANY, "rate", least=0.95)),
        *_on_both(Bound("postgres", "cold", ANY, "cpu_us", most=1.05)),
    ],
    # Writes that may be repeated.
    "idempotency": [*_on_both(Bound("postgres", "create-keyed/create", ANY, "rate", least=0.8))],
}


def of(name: str, environment: Mapping[str, str]) -> list[Bound]:
    """Those of this name that are for a program with these variables set."""
    return [bound for bound in BOUNDS[name] if bound.environment == environment]
