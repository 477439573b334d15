"""Compares two programs: the same load on each in turn, in pairs of rounds, on databases of their own."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import kinds
import machine
import pairs
import programs
import report
import systems
from bounds import Bound
from clients import Wrk
from comparison import Comparison
from kinds import KINDS, Load
from processes import Processes
from programs import Program
from systems import Postgres, Server

# So many connections warm up.
_WARM_UP = 64


@dataclass(frozen=True)
class Options:
    beside: str
    program: str | None
    kinds: list[str]
    databases: list[str]
    connections: list[int]
    seconds: int
    pairs: int
    cold_users: int
    environment: dict[str, str]
    bounds: list[Bound]


def compare(options: Options) -> bool:
    """Prints the comparison as it goes, and returns whether a bound fails."""
    with tempfile.TemporaryDirectory(prefix="user-service-beside-", dir="/var/tmp") as folder:
        this, other = programs.both(options.program, options.beside, Path(folder))
        systems.check_settings(this.file, options.environment)
        results = Comparison(systems.TARGET / "measure", _about(options, this, other), options.bounds)
        results.begin()
        try:
            for database in options.databases:
                for kind in options.kinds:
                    _compare(options, this, other, database, kind, results)
        finally:
            results.end()
    return results.fails()


def _about(options: Options, this: Program, other: Program) -> dict[str, str]:
    settings = [f"{name}={value}" for name, value in options.environment.items()]
    described = machine.describe(systems.postgres_programs())
    return {
        "this": ", ".join([this.title, *settings]),
        "other": other.title,
        "rounds": f"{options.seconds} s",
        "machine": "; ".join(f"{name} {value}" for name, value in described.items()),
    }


def _compare(options: Options, this: Program, other: Program, database: str, name: str, results: Comparison) -> None:
    """Each kind of load has new databases: those that another kind has written to have grown, one perhaps more than
    the other."""
    kind = KINDS[name]
    users = options.cold_users if name == "cold" else kinds.USERS
    what = f"{database}, {name}"
    report.step(f"{what}: {users:,} users for each")
    with Processes() as processes:
        postgres = systems.Postgres(processes) if database == "postgres" else None
        service = _serve(processes, postgres, this, users, options.environment)
        beside = service if kind.reference else _serve(processes, postgres, other, users, {})
        loads = [(service, kind.load), (beside, kind.reference or kind.load)]
        report.step(f"{what}: warming up")
        asked = postgres if kind.asks_database else None
        ours, theirs = (
            _warm(server, load(processes.folder, server, users), asked, options.seconds) for server, load in loads
        )
        for connections in options.connections:
            load = f"{what}, {connections} connections"
            compared = pairs.measure(ours, theirs, connections, options.seconds, options.pairs, load)
            results.put(database, name, connections, compared)


def _serve(
    processes: Processes, postgres: Postgres | None, program: Program, users: int, settings: dict[str, str]
) -> Server:
    name = program.file.name
    url = postgres.create_database(name) if postgres else f"sqlite://{processes.folder}/{name}.db"
    systems.seed(processes, url, users, program.file)
    if postgres:
        postgres.execute("VACUUM ANALYZE", url)
    service = systems.start_service(processes, url, settings, program.file, name)
    systems.wait_until_ready(service)
    return service


def _warm(server: Server, load: Load, postgres: Postgres | None, seconds: int) -> Wrk:
    """Sends what warms the service, and a round that does not count: connections open and statements are prepared."""
    Wrk(server, load.warm_up).send(load.count, _WARM_UP, seconds, in_order=load.in_order)
    client = Wrk(server, load.send, postgres)
    client.measure(_WARM_UP, seconds)
    return client
