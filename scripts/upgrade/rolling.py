"""Replicas are replaced one by one under load: the previous release by this one, then this one by itself."""

from __future__ import annotations

import math
import time

from bench import Bench, Replica
from consumer import Consumer
from grpc_calls import Grpc
from haproxy import HaProxy
from known import Change, User
from paths import check_paths
from readers import Reader, SseReader, WatchReader, wait_until_begun
from report import milliseconds, quantile
from rest import Rest
from told import check_consumer, check_reader, wait_until_told
from worker import Worker

STORY = "two replicas are replaced one by one, three times, under reads and writes"
ROUNDS = 3
REST_CALLERS, GRPC_CALLERS = 10, 5
# The calls of each caller, per second.
CALLS = 20
SSE_READERS, WATCHERS = 2, 2
# The share of due calls that must be made. A caller falls behind while it waits, and on a busy machine.
LEAST_SHARE = 0.5
# How long the load continues with one replica, and again with both.
SETTLE_SECONDS = 4.0
# SHUTDOWN_GRACE is 20 s.
PATIENCE = 25.0
# The longest call that a caller would not notice. Everything shares two cores, so this is no promise of the service.
LONGEST_SECONDS = 2.0


def run(bench: Bench) -> None:
    url = bench.postgres.create_database("rolling")
    consumer = Consumer(bench.rabbitmq.url, "rolling")
    consumer.start()
    replicas = bench.replicas(2, url)
    for replica in replicas:
        replica.start(bench.previous)
    proxy = bench.proxy(replicas)
    load = Load(proxy)
    load.call_rest()
    time.sleep(SETTLE_SECONDS)

    # The previous release may write no events, and have neither gRPC nor streams. So until its last process has ended,
    # only REST is called.
    _replace_previous(bench, proxy, replicas)
    since = time.monotonic()
    load.call_grpc()
    load.read()
    reading_since = time.monotonic()
    for number in range(2, ROUNDS + 1):
        _replace_all(bench, proxy, replicas, number)

    load.stop_calling()
    wait_until_told([consumer, *load.readers], load.changes(), reading_since)
    load.stop_reading()
    consumer.stop()
    _report_calls(bench, load)
    again = proxy.sent_again()
    bench.report.check("requests that the proxy had to send again", str(again), "0", again == 0)
    _check_users(bench, load, Rest(proxy.rest).everyone())
    check_paths(bench.report, proxy.rest, replicas[0].addresses.rest)
    check_consumer(bench.report, consumer.events, load.changes(), since)
    for reader in load.readers:
        check_reader(bench.report, reader, load.changes(), reading_since)
    proxy.stop()
    for replica in replicas:
        replica.service.stop()


class Load:
    """Callers and readers, all through the proxy."""

    def __init__(self, proxy: HaProxy) -> None:
        self._proxy = proxy
        self.workers: list[Worker] = []
        self.readers: list[Reader] = []
        self.began = time.monotonic()

    def call_rest(self) -> None:
        self._call([Worker(f"rest{number}", Rest(self._proxy.rest), CALLS) for number in range(REST_CALLERS)])

    def call_grpc(self) -> None:
        self._call([Worker(f"grpc{number}", Grpc(self._proxy.grpc), CALLS) for number in range(GRPC_CALLERS)])

    def _call(self, workers: list[Worker]) -> None:
        for worker in workers:
            worker.start()
        self.workers += workers

    def read(self) -> None:
        """Starts the readers, and returns when all have begun."""
        self.readers += [SseReader(f"SSE reader {number}", self._proxy.rest) for number in range(1, SSE_READERS + 1)]
        self.readers += [WatchReader(f"WatchUsers {number}", self._proxy.grpc) for number in range(1, WATCHERS + 1)]
        for reader in self.readers:
            reader.start()
        wait_until_begun(self.readers)

    def stop_calling(self) -> None:
        for worker in self.workers:
            worker.stop()

    def stop_reading(self) -> None:
        for reader in self.readers:
            reader.stop()

    def changes(self) -> list[Change]:
        return [change for worker in self.workers for change in worker.changes]


def _replace_previous(bench: Bench, proxy: HaProxy, replicas: list[Replica]) -> None:
    """Replaces the previous release. One of its processes runs on the schema of this one for a while."""
    first, second = replicas
    _replace(bench, proxy, first, "round 1, previous release to this one")
    before = proxy.served("rest", second.name)
    time.sleep(SETTLE_SECONDS)
    served = proxy.served("rest", second.name) - before
    bench.report.check("served by the previous release on the new schema", str(served), "> 0", served > 0)
    _replace(bench, proxy, second, "round 1, previous release to this one")
    time.sleep(SETTLE_SECONDS)


def _replace_all(bench: Bench, proxy: HaProxy, replicas: list[Replica], number: int) -> None:
    for replica in replicas:
        _replace(bench, proxy, replica, f"round {number}")
        time.sleep(SETTLE_SECONDS)


def _replace(bench: Bench, proxy: HaProxy, replica: Replica, when: str) -> None:
    begun = time.monotonic()
    code = replica.service.end(PATIENCE)
    ended = time.monotonic()
    replica.start(bench.program)
    ready = time.monotonic()
    proxy.wait_until_up(replica.name)
    measured = f"ended by {code} after {ended - begun:.1f} s, ready {ready - ended:.1f} s later"
    bench.report.check(f"{when}: {replica.name}", measured, "ended by 0", code == 0)


def _report_calls(bench: Bench, load: Load) -> None:
    for protocol in ("rest", "grpc"):
        workers = [worker for worker in load.workers if worker.name.startswith(protocol)]
        failures = [failure for worker in workers for failure in worker.failures]
        took = [one for worker in workers for one in worker.took]
        changes = sum(len(worker.changes) for worker in workers)
        measured = f"{len(failures)} of {len(took)}; {changes} changes"
        bench.report.check(f"{protocol}: calls that failed", measured, "0", not failures and changes > 0)
        for failure in failures[:20]:
            bench.report.note("", failure)
        due = sum(worker.due for worker in workers)
        measured, least = f"{len(took)} of {due:.0f} that were due", math.ceil(due * LEAST_SHARE)
        bench.report.check(f"{protocol}: calls", measured, f">= {least}", len(took) >= least > 0)
        p50, p99 = (quantile([seconds for seconds, _ in took], share) for share in (0.5, 0.99))
        longest, at = max(took)
        measured = f"{milliseconds(longest)}, {at - load.began:.0f} s after the first; p50 {milliseconds(p50)}, p99 {milliseconds(p99)}"
        bench.report.check(
            f"{protocol}: the longest call", measured, f"<= {LONGEST_SECONDS:.0f} s", longest <= LONGEST_SECONDS
        )
    connections = sum(worker.caller.connections for worker in load.workers if isinstance(worker.caller, Rest))
    bench.report.check(
        "rest: connections", str(connections), f"{REST_CALLERS}, kept throughout", connections == REST_CALLERS
    )


def _check_users(bench: Bench, load: Load, found: list[User]) -> None:
    """Checks that the users are exactly those that were acknowledged."""
    due = {user.id: user for worker in load.workers for user in worker.users.values()}
    differ = [id for id in due.keys() | {user.id for user in found} if due.get(id) not in found]
    measured = f"{len(differ)} of {len(due)}"
    bench.report.check("users that are not as was told", measured, "0", not differ and len(found) == len(due))
