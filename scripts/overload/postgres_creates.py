"""Overload of PostgreSQL by creates. A proxy delays what is sent to the database by a tenth of a second."""

from __future__ import annotations

from bench import Bench
from oha import Request
from overload import Overload, prove

STORY = "five times the creates that a PostgreSQL 100 ms away can carry"
DELAY = 0.1
# oha picks the bodies at random, so a few addresses repeat. Their 409 is as much work, and counts as good.
BODIES = 500_000


def run(bench: Bench) -> None:
    database = "creates"
    bench.seed(bench.postgres.create_database(database), 10_000)
    port = bench.slow_path(bench.postgres.port, DELAY)
    service = bench.serve(bench.postgres.url(database, port))
    bodies = bench.folder("bodies") / "bodies"
    with open(bodies, "w", encoding="ascii") as file:
        file.writelines(f'{{"name":"Load {n}","email":"load{n}@example.com"}}\n' for n in range(BODIES))
    results = prove(
        bench,
        Overload(
            service,
            Request("/api/v2/users", "POST", ["-T", "application/json", "-Z", str(bodies)]),
            # Each sample has its own address: a repeated one would cost a batch another statement.
            samples=[_create(f'{{"name":"Sample","email":"sample{n}@example.com"}}') for n in range(10)],
            crowd=768,
            light_rate=50,
        ),
    )
    service.stop()
    statuses = [result.statuses() for result in results]
    created = sum(status.get(201, 0) for status in statuses)
    unknown = sum(status.get(504, 0) for status in statuses) + sum(sum(result.errors.values()) for result in results)
    stored = int(bench.postgres.query(database, "SELECT count(*) FROM users WHERE name LIKE 'Load %'"))
    demand = f"{created}, those acknowledged"
    if unknown:
        demand += f", or up to {unknown} more, of unknown outcome"
    bench.report.check("users stored, from all loads", str(stored), demand, created <= stored <= created + unknown)


def _create(body: str) -> dict[str, object]:
    return {"method": "POST", "path": "/api/v2/users", "type": "application/json", "body": body}
