"""Overload of SQLite by costly page queries, which skip some 300,000 users each."""

from __future__ import annotations

from bench import Bench
from oha import Request
from overload import Overload, prove

STORY = "five times the far pages that SQLite can carry"
USERS = 300_000


def run(bench: Bench) -> None:
    url = f"sqlite://{bench.folder('sqlite') / 'users.db'}"
    bench.seed(url, USERS)
    service = bench.serve(url)
    prove(
        bench,
        Overload(
            service,
            Request("/api/v1/users[?]page=29[0-9]{2}&limit=100"),
            # Cheap ones, so that sampling costs nothing.
            samples=[{"path": "/api/v1/users?limit=1"}] * 10,
            crowd=8,
            light_rate=20,
            quick=["/api/v2/users/1"],
        ),
    )
    service.stop()
