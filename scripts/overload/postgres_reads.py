"""Overload of PostgreSQL by look-ups. A proxy delays what is sent to the database by a tenth of a second."""

from __future__ import annotations

from bench import Bench
from oha import Request
from overload import Overload, prove

STORY = "five times the look-ups that a PostgreSQL 100 ms away can carry"
DELAY = 0.1


def run(bench: Bench) -> None:
    database = "reads"
    bench.seed(bench.postgres.create_database(database), 10_000)
    port = bench.slow_path(bench.postgres.port, DELAY)
    service = bench.serve(bench.postgres.url(database, port))
    prove(
        bench,
        Overload(
            service,
            Request("/api/v2/users/[1-9][0-9]{3}"),
            samples=[{"path": "/api/v2/users/1"}] * 10,
            # Three full batches of the default size: one runs and two wait, so a full one is always ready.
            crowd=768,
            light_rate=50,
        ),
    )
    service.stop()
