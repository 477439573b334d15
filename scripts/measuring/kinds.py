"""The kinds of load that two programs are compared by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import lists
import report
import work
from lists import by_email
from systems import Server
from work import Work

USERS = 100_000


@dataclass(frozen=True)
class Load:
    """What is sent; and what is sent once before, at least `count` requests of it, so that the service is warm."""

    send: Work
    warm_up: Work = field(default_factory=dict)
    count: int = 0
    in_order: bool = True


@dataclass(frozen=True)
class Kind:
    """What a service is sent, made for a folder, a service and the number of its users. It is compared with the same on
    the other program, or with what `reference` is on this one."""

    load: Callable[[Path, Server, int], Load]
    reference: Callable[[Path, Server, int], Load] | None = None
    # Without it, the service's own CPU time is all that counts.
    asks_database: bool = True


def _health(folder: Path, _server: Server, _users: int) -> Load:
    return Load(work.requests(folder, ["/health"]))


def _read(_folder: Path, server: Server, users: int) -> Load:
    reads = work.reads(server.users, users)
    return Load(reads, reads, users)


def _by_email(folder: Path, server: Server, users: int) -> Load:
    paths = [by_email(user) for user in lists.users_to(server, users)]
    status, body = server.ask(paths[-1])
    if len(paths) != users or status != 200 or b'"email"' not in body:
        report.fail(f"{server.name} does not find its {users:,} users by their addresses: {status} {body!r}")
    requests = work.requests(folder, paths)
    return Load(requests, requests, users)


def _create(_folder: Path, server: Server, _users: int) -> Load:
    return Load(work.creates(server.users))


def _create_keyed(_folder: Path, server: Server, _users: int) -> Load:
    return Load({**work.creates(server.users), "KEYED": "1"})


def _update(_folder: Path, _server: Server, users: int) -> Load:
    return Load(work.updates(lists.USERS, users), work.reads(lists.USERS, users), users)


def _crud(folder: Path, server: Server, _users: int) -> Load:
    pages = work.requests(folder, lists.pages_of_ten(server, work.CRUD_USERS))
    return Load(work.crud(lists.USERS, pages), work.reads(lists.USERS, work.CRUD_USERS), work.CRUD_USERS)


def _cold(_folder: Path, server: Server, users: int) -> Load:
    """Warm in its own way: whatever a cache can hold, it holds. At random, because a cache may prefer an order."""
    reads = work.reads(server.users, users)
    return Load(reads, reads, users, in_order=False)


KINDS = {
    "health": Kind(_health, asks_database=False),
    "read": Kind(_read),
    "read/health": Kind(_read, _health, asks_database=False),
    "by-email": Kind(_by_email),
    "create": Kind(_create),
    "create-keyed/create": Kind(_create_keyed, _create),
    "update": Kind(_update),
    "crud": Kind(_crud),
    "cold": Kind(_cold),
}
