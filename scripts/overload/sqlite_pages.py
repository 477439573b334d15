"""Overload of SQLite by expensive page queries, which skip about a million users each."""

from __future__ import annotations

from bench import Bench
from oha import Request
from overload import Overload, prove

STORY = "five times the far pages that SQLite can carry"
USERS = 1_000_000
# If the database used both cores, it would share them with the generator, and have less capacity for that reason alone.
ONE_CORE = "1"


def run(bench: Bench) -> None:
    url = f"sqlite://{bench.folder('sqlite') / 'users.db'}"
    bench.seed(url, USERS)
    service = bench.serve(url, DB_PAGE_ACTORS=ONE_CORE)
    prove(
        bench,
        Overload(
            service,
            Request("/api/v1/users[?]page=99[0-9]{2}&limit=100"),
            # Cheap requests, so that sampling costs nothing.
            samples=[{"path": "/api/v1/users?limit=1"}] * 10,
            crowd=8,
            light_rate=4,
            quick=["/api/v2/users/1"],
        ),
    )
    service.stop()
