"""Clients that hang up while they wait in a queue: the service must execute none of their requests. Other clients,
which sent the same requests at the same time and stay, show that it would have."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from bearer import CREDENTIALS
from bench import Bench
from service import Service

STORY = "requests that wait behind a database that does not answer, half of whose clients hang up"
USERS = 10_000
EACH = 100
# A long deadline, so that hanging up is the reason.
DEADLINE = {"DB_DEADLINE": "20s"}
# Long enough for the service to read what was sent, or to notice who has hung up.
MOMENT = 0.5
TIMEOUT = 30.0


def run(bench: Bench) -> None:
    _postgres_creates(bench)
    _postgres_reads(bench)
    _sqlite_creates(bench)


def _postgres_creates(bench: Bench) -> None:
    database = "hung-up-creates"
    url = bench.postgres.create_database(database)
    service = bench.serve(url, **DEADLINE)
    _crowd(bench, "PostgreSQL, creates", service, _create, bench.postgres.frozen())
    service.stop()
    stored = bench.postgres.query(database, "SELECT count(*) FROM users WHERE name = 'Gone'")
    _report(bench, "PostgreSQL, creates", "users of theirs", int(stored))


def _postgres_reads(bench: Bench) -> None:
    database = "hung-up-reads"
    url = bench.postgres.create_database(database)
    bench.seed(url, USERS)
    # PostgreSQL publishes a process's counts for certain when the process ends, so the service ends first.
    fetched = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'users'"
    bench.postgres.query(database, "ANALYZE users")
    before = int(bench.postgres.query(database, fetched))
    service = bench.serve(url, **DEADLINE)
    answered = _crowd(bench, "PostgreSQL, reads", service, _read, bench.postgres.frozen())
    service.stop()
    rows = int(bench.postgres.query(database, fetched)) - before
    _report(bench, "PostgreSQL, reads", "rows fetched for them", rows - answered)


def _sqlite_creates(bench: Bench) -> None:
    file = bench.folder("sqlite") / "users.db"
    service = bench.serve(f"sqlite://{file}", **DEADLINE)
    _crowd(bench, "SQLite, creates", service, _create, _write_lock(file))
    service.stop()
    with contextlib.closing(sqlite3.connect(file)) as database:
        stored = database.execute("SELECT count(*) FROM users WHERE name = 'Gone'").fetchone()[0]
    _report(bench, "SQLite, creates", "users of theirs", stored)


def _report(bench: Bench, where: str, what: str, executed: int) -> None:
    bench.report.check(f"{where}: hung up", f"{executed} {what}, of {EACH}", "0", executed == 0)


def _crowd(
    bench: Bench,
    where: str,
    service: Service,
    request: Callable[[str, int], str],
    blocked: AbstractContextManager[None],
) -> int:
    """Lets clients queue behind a database that does not answer, and half of them hang up. Returns how many requests
    were answered."""
    with contextlib.ExitStack() as sockets:

        def send(name: str, number: int) -> socket.socket:
            host, port = service.address.split(":")
            client = sockets.enter_context(socket.create_connection((host, int(port)), TIMEOUT))
            client.sendall(request(name, number).encode())
            return client

        with blocked:
            # This request is executed at once, alone; all others must wait until it is done.
            first = send("Stays", 1)
            time.sleep(MOMENT)
            stay, gone = [], []
            for number in range(2, 2 + EACH):
                gone.append(send("Gone", USERS // 2 + number))
                stay.append(send("Stays", number))
            time.sleep(MOMENT)
            for client in gone:
                client.close()
            time.sleep(MOMENT)
        good = sum(_is_good(client) for client in stay)
        # A request that is answered now was queued after all of them.
        others = [first, send("Stays", 2 + EACH)]
        good_others = sum(_is_good(client) for client in others)
    bench.report.check(f"{where}: stayed", f"{good} of {EACH} answered well", "all", good == EACH)
    return good + good_others


def _create(name: str, number: int) -> str:
    body = f'{{"name":"{name}","email":"{name}{number}@example.com"}}'
    head = f"POST /api/v2/users HTTP/1.1\r\nHost: service\r\nAuthorization: {CREDENTIALS}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}"


def _read(_name: str, number: int) -> str:
    return f"GET /api/v2/users/{number} HTTP/1.1\r\nHost: service\r\nAuthorization: {CREDENTIALS}\r\n\r\n"


def _is_good(client: socket.socket) -> bool:
    """Whether the status of the answer is 2xx."""
    return client.recv(10, socket.MSG_WAITALL) == b"HTTP/1.1 2"


@contextlib.contextmanager
def _write_lock(file: Path) -> Iterator[None]:
    """Keeps other connections from writing."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")
