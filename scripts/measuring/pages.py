"""What one client waits for look-ups and pages among many users; it sends each request after the answer to the last."""

import random
import statistics

import lists
import report
import systems
import work
from clients import Wrk
from lists import USERS
from processes import Processes

PAGE = 100
FULL = f"{USERS}?page_size={PAGE}"
PREFIX = "a"


def measure(options, results):
    for database in options.databases:
        with Processes() as processes:
            _measure_on(database, processes, options, results)


def _measure_on(database, processes, options, results):
    report.step(f"{database}: {options.many} users")
    postgres = systems.Postgres(processes) if database == "postgres" else None
    url = postgres.url if postgres else f"sqlite://{processes.folder}/users.db"
    systems.seed(processes, url, options.many)
    if postgres:
        postgres.execute("VACUUM ANALYZE")
    service = systems.start_service(processes, url)
    systems.wait_until_ready(service)

    report.step(f"{database}: from the first page to the last")
    last, pages, users = _walk(service, FULL)
    by_name = f"{FULL}&name_prefix={PREFIX}"
    last_by_name, pages_by_name, _ = _walk(service, by_name)

    requests = {
        "a user by id": [f"{USERS}/{user['id']}" for user in users],
        "a user by email": [lists.by_email(user) for user in users],
        "the first page of 1": [f"{USERS}?page_size=1"],
        f"the first page of {PAGE}": [FULL],
        f"page {pages:,}, the last": [last],
        f"the first page of {PAGE} with name_prefix={PREFIX}": [by_name],
        f"page {pages_by_name:,} with name_prefix={PREFIX}, the last": [last_by_name],
    }
    clients = {what: Wrk(service, work.requests(processes.folder, paths), postgres) for what, paths in requests.items()}
    rounds = {what: [] for what in clients}
    for number in range(options.rounds):
        report.step(f"{database}, latencies: round {number + 1} of {options.rounds}")
        for what, client in clients.items():
            rounds[what].append(client.measure(1, options.seconds))
    medians = [
        {"request": what, **{key: statistics.median(one[key] for one in of_request) for key in ("p50_ms", "p99_ms")}}
        for what, of_request in rounds.items()
    ]
    measured = {"users": options.many, "rounds": options.rounds, "seconds": options.seconds, "requests": medians}
    results.put(f"pages/{database}", measured)


def _walk(service, first):
    """The path of the last page, which is a full one; how many pages there are; and a user of each."""
    pages, users, full = 0, [], None
    for path, page in lists.pages(service, first):
        pages += 1
        users.append(random.choice(page["users"]))
        # A page of a few users would be no match for the first one.
        full = path if len(page["users"]) == PAGE else full
    return full, pages, users
