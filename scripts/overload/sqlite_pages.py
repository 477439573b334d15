"""Overload of SQLite by costly page queries, which skip some million users each."""

from __future__ import annotations

from bench import Bench
from oha import Request
from overload import Overload, prove

STORY = "five times the far pages that SQLite can carry"
USERS = 1_000_000
# A database that takes both cores would share them with the generator, and carry less for that alone.
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
            # Cheap ones, so that sampling costs nothing.
            samples=[{"path": "/api/v1/users?limit=1"}] * 10,
            crowd=8,
            light_rate=4,
            quick=["/api/v2/users/1"],
        ),
    )
    service.stop()
