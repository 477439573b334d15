"""Two replicas, then four, behave as one service: concurrent calls through the proxy have the same results as with
one."""

from __future__ import annotations

import collections
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench import Bench, Replica
from consumer import Consumer
from haproxy import HaProxy
from known import Change
from readers import SseReader, wait_until_begun
from report import Report, milliseconds
from rest import USERS, Rest
from told import check_consumer, check_reader, wait_until_told
from wrk import Wrk

STORY = "two replicas, then four, on one PostgreSQL: correct; and how fast, on these cores"
CALLERS = 16
INCREMENTS = 20
ROUNDS = 10
PAGED_USERS = 250

MEASURED_USERS = 10_000
MEASURED_SECONDS = 5
CONNECTIONS = 64


def run(bench: Bench) -> None:
    for count in (2, 4):
        _prove(bench, count)
    for count in (1, 2, 4):
        _measure(bench, count)


def _prove(bench: Bench, count: int) -> None:
    url = bench.postgres.create_database(f"scaling{count}")
    consumer = Consumer(bench.rabbitmq.url, f"scaling{count}")
    consumer.start()
    replicas, proxy = _start(bench, count, url)
    since = time.monotonic()
    readers = [SseReader(f"{count}: SSE reader at {it.name}", it.addresses.rest) for it in replicas]
    for reader in readers:
        reader.start()
    wait_until_begun(readers)
    crowd = Crowd(proxy.rest)

    report = bench.report
    _lost_updates(report, f"{count}: ", crowd)
    _one_email(report, f"{count}: ", crowd)
    _one_delete(report, f"{count}: ", crowd)
    _pages(report, f"{count}: ", crowd, [it.addresses.rest for it in replicas])

    wait_until_told([consumer, *readers], crowd.changes, since)
    consumer.stop()
    check_consumer(report, consumer.events, crowd.changes, since)
    for reader in readers:
        reader.stop()
        check_reader(report, reader, crowd.changes, since)
    served = [proxy.served("rest", replica.name) for replica in replicas]
    report.check(f"{count}: requests, by replica", ", ".join(map(str, served)), "all have some", min(served) > 0)
    _stop(replicas, proxy)


class Crowd:
    """Callers that do something at once, each on its own connection to the proxy."""

    def __init__(self, address: str) -> None:
        self.callers = [Rest(address) for _ in range(CALLERS)]
        self.changes: list[Change] = []

    def at_once(self, work: Callable[[int, Rest], Any]) -> list[Any]:
        with ThreadPoolExecutor(CALLERS) as threads:
            return list(threads.map(work, range(CALLERS), self.callers))

    def note(self, user_id: int, version: int, type: str) -> None:
        self.changes.append(Change(user_id, version, type, time.monotonic()))

    def create(self, name: str, email: str) -> int:
        user = self.callers[0].create(name, email)
        self.note(user.id, 1, "user.created")
        return user.id


def _lost_updates(report: Report, prefix: str, crowd: Crowd) -> None:
    """All callers increment the number in one user's name: read it, add one, and write it if its version is
    unchanged."""
    id = crowd.create("0", "counter@example.com")

    def count_up(_number: int, caller: Rest) -> int:
        stale = 0
        for _ in range(INCREMENTS):
            while True:
                known = caller.get(id)
                if updated := caller.update(id, known.version, str(int(known.name) + 1)):
                    crowd.note(id, updated.version, "user.updated")
                    break
                stale += 1
        return stale

    stale = sum(crowd.at_once(count_up))
    user, due = crowd.callers[0].get(id), CALLERS * INCREMENTS
    measured = f"name {user.name}, version {user.version}; {stale} were stale"
    holds = user.name == str(due) and user.version == due + 1 and stale > 0
    report.check(f"{prefix}{due} increments with If-Match", measured, f"name {due}, version {due + 1}", holds)


def _one_email(report: Report, prefix: str, crowd: Crowd) -> None:
    """All callers create a user with the same address, each in another case."""
    outcomes: collections.Counter[int] = collections.Counter()
    for number in range(ROUNDS):

        def create(index: int, caller: Rest, number: int = number) -> int:
            name = f"One{number}"
            # Letters are capitals where the caller's number has a 1 bit.
            email = "".join(c.upper() if index >> i & 1 else c for i, c in enumerate(f"once{number}@example.com"))
            status, answer = caller.ask("POST", USERS, (201, 409), {"name": name, "email": email})
            if status == 201:
                crowd.note(answer["id"], 1, "user.created")
            return status

        outcomes.update(crowd.at_once(create))
    due = {201: ROUNDS, 409: ROUNDS * (CALLERS - 1)}
    report.check(f"{prefix}creates of {ROUNDS} addresses", str(dict(outcomes)), str(due), outcomes == due)


def _one_delete(report: Report, prefix: str, crowd: Crowd) -> None:
    """All callers delete the same user, twice."""
    outcomes: collections.Counter[int] = collections.Counter()
    for number in range(ROUNDS):
        id = crowd.create("Gone", f"gone{number}@example.com")
        for _ in range(2):
            statuses = crowd.at_once(lambda _, caller, id=id: caller.ask("DELETE", f"{USERS}/{id}", (204, 404))[0])
            outcomes.update(statuses)
        crowd.note(id, 2, "user.deleted")
    due = {204: ROUNDS, 404: ROUNDS * (2 * CALLERS - 1)}
    report.check(f"{prefix}deletes of {ROUNDS} users", str(dict(outcomes)), str(due), outcomes == due)


def _pages(report: Report, prefix: str, crowd: Crowd, addresses: list[str]) -> None:
    """Each page is read from another replica than the one before it."""

    def create(index: int, caller: Rest) -> list[int]:
        emails = (f"paged{number}@example.com" for number in range(index, PAGED_USERS, CALLERS))
        return [caller.create("Paged", email).id for email in emails]

    created = sorted(itertools.chain(*crowd.at_once(create)))
    for id in created:
        crowd.note(id, 1, "user.created")
    replicas = itertools.cycle([Rest(address) for address in addresses])
    found, token, pages = [], "", 0
    while token is not None:
        page = next(replicas).ask("GET", f"{USERS}?name_prefix=paged&page_size=7{token}", (200,))[1]
        found += [user["id"] for user in page["users"]]
        token = f"&page_token={page['next_page_token']}" if "next_page_token" in page else None
        pages += 1
    measured = f"{len(found)} users on {pages} pages"
    report.check(f"{prefix}pages across replicas", measured, "each user once, in order", found == created)


def _measure(bench: Bench, count: int) -> None:
    url = bench.postgres.create_database(f"measured{count}")
    replicas, proxy = _start(bench, count, url, MEASURED_USERS)
    looked_up = [f"{USERS}/{id}" for id in range(1, MEASURED_USERS + 1)]
    for name, paths in {"reads": looked_up, "creates": None}.items():
        load = Wrk(
            bench.children,
            bench.folder("wrk"),
            f"http://{proxy.rest}",
            connections=CONNECTIONS,
            seconds=MEASURED_SECONDS,
            paths=paths,
        )
        answers = load.finish()
        bench.report.note(f"{count} x {name}", f"{answers.rate:.0f}/s, p99 {milliseconds(answers.p99)}")
        failed = answers.refused + answers.broken
        bench.report.check(f"{count} x {name}: failed", f"{failed} of {answers.requests}", "0", failed == 0)
    connections = sum(replica.service.connections_to(bench.postgres.port) for replica in replicas)
    bench.report.note(f"{count} x connections to PostgreSQL", str(connections))
    _stop(replicas, proxy)


def _start(bench: Bench, count: int, url: str, users: int = 0) -> tuple[list[Replica], HaProxy]:
    if users:
        bench.seed(url, users)
    replicas = bench.replicas(count, url)
    for replica in replicas:
        replica.start(bench.program)
    return replicas, bench.proxy(replicas)


def _stop(replicas: list[Replica], proxy: HaProxy) -> None:
    proxy.stop()
    for replica in replicas:
        replica.service.stop()
