"""The latency of look-ups and pages among many users, for one client that sends each request after the last answer."""

import json
import random
import statistics
import urllib.parse

import report
import systems
from clients import Wrk
from processes import Processes

USERS = "/api/v2/users"
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
        "a user by email": [f"{USERS}?email={urllib.parse.quote(user['email'])}" for user in users],
        "the first page of 1": [f"{USERS}?page_size=1"],
        f"the first page of {PAGE}": [FULL],
        f"page {pages:,}, the last": [last],
        f"the first page of {PAGE} with name_prefix={PREFIX}": [by_name],
        f"page {pages_by_name:,} with name_prefix={PREFIX}, the last": [last_by_name],
    }
    clients = {what: Wrk(processes, service, paths) for what, paths in requests.items()}
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
    """The path of the last full page, the number of pages, and a user of each."""
    connection = service.connection()
    path, pages, users, full = first, 0, [], None
    while path:
        connection.request("GET", path, headers=service.headers())
        answer = connection.getresponse()
        page = json.loads(answer.read())
        if answer.status != 200:
            report.fail(f"{path} answers {answer.status}: {page}")
        pages += 1
        users.append(random.choice(page["users"]))
        # A page with few users is not comparable to the first one.
        full = path if len(page["users"]) == PAGE else full
        path = f"{first}&page_token={page['next_page_token']}" if "next_page_token" in page else None
    connection.close()
    return full, pages, users
