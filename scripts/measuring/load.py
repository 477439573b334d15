"""Requests a second and their latencies: user-service and its peers side by side, round after round."""

import json
import statistics

import lists
import report
import systems
import work
from clients import Pgbench, Wrk
from processes import Processes
from words import HEALTH

USERS = 100_000


def measure(options, results):
    for database in options.databases:
        report.step(f"{database}: {USERS:,} users")
        with Processes() as processes:
            postgres = systems.Postgres(processes) if database == "postgres" else None
            servers, yardsticks = _on_postgres(processes, postgres) if postgres else _on_sqlite(processes)
            for operation, clients in _clients(processes, servers, postgres).items():
                clients += yardsticks.get(operation, [])
                _warm_up(clients, options, f"{database}, {operation}")
                for connections in options.connections:
                    group = _side_by_side(clients, connections, options, f"{database}, {operation}")
                    group["peak_bytes"] = {server.name: server.peak_memory() for server in servers}
                    results.put(f"load/{database}/{operation}/{connections}", group)


def _on_postgres(processes, postgres):
    servers = _serve("postgres", processes, postgres.url, postgres.url, postgres)
    select, insert = Pgbench(processes, postgres), Pgbench(processes, postgres, Pgbench.INSERT)
    if not select.exists():
        report.step("pgbench is not installed: going on without it")
        return servers, {}
    select.prepare()
    return servers, {"read": [select], "create": [insert]}


def _on_sqlite(processes):
    users, peer_users = processes.folder / "users.db", processes.folder / "peers.db"
    return _serve("sqlite", processes, f"sqlite://{users}", str(peer_users), peer_users), {}


def _serve(database, processes, url, peers_url, peers_store):
    """The service and its peers, running, each on its own table of as many users."""
    systems.seed(processes, url, USERS)
    systems.fill_peers(peers_store, USERS)
    service = systems.start_service(processes, url)
    systems.wait_until_ready(service)
    servers = [service, *(systems.start_peer(processes, name, peers_url) for name in systems.PEERS[database])]
    for server in servers:
        _check(server)
    return servers


def _check(server):
    """Nobody is measured at work that is not done."""
    status, body = server.ask(f"{server.users}/1")
    if status != 200 or {"id", "name", "email"} - json.loads(body).keys():
        report.fail(f"{server.name} does not read: {status} {body}")
    new = {"name": "Ada Lovelace", "email": f"{server.name}@check.example.com"}
    status, body = server.ask(server.users, new)
    if status != 201 or json.loads(body)["email"] != new["email"]:
        report.fail(f"{server.name} does not create: {status} {body}")
    if server.ask(f"{server.users}/{json.loads(body)['id']}")[1] != body:
        report.fail(f"{server.name} does not read what it created")


def _clients(processes, servers, postgres):
    """The peers only read and create."""
    service = servers[0]
    reads = [Wrk(server, work.reads(server.users, USERS), postgres) for server in servers]
    reads.append(Wrk(service, work.requests(processes.folder, ["/health"]), postgres, name=HEALTH))
    pages = work.requests(processes.folder, lists.pages_of_ten(service, work.CRUD_USERS))
    return {
        "read": reads,
        "create": [Wrk(server, work.creates(server.users), postgres) for server in servers],
        "update": [Wrk(service, work.updates(lists.USERS, USERS), postgres)],
        "crud": [Wrk(service, work.crud(lists.USERS, pages), postgres)],
    }


def _warm_up(clients, options, what):
    """A round that does not count: connections open, statements are prepared, and PostgreSQL makes its log's files."""
    report.step(f"{what}: warming up")
    for client in clients:
        client.measure(64, options.seconds)


def _side_by_side(clients, connections, options, what):
    clients = [client for client in clients if connections <= client.most_connections]
    rounds = {client.name: [] for client in clients}
    for number in range(options.rounds):
        report.step(f"{what}, {connections} connections: round {number + 1} of {options.rounds}")
        # Each begins a round in turn, so that it is not always the same one that comes after another's writes.
        first = number % len(clients)
        for client in clients[first:] + clients[:first]:
            rounds[client.name].append(client.measure(connections, options.seconds))
    ours = rounds["user-service"]
    servers = {name: _summary(ours, theirs) for name, theirs in rounds.items()}
    return {"rounds": options.rounds, "seconds": options.seconds, "servers": servers}


def _summary(ours, theirs):
    return {
        "rate": round(_median(theirs, "rate"), 1),
        "p50_ms": _median(theirs, "p50_ms"),
        "p99_ms": _median(theirs, "p99_ms"),
        # The CPU time of a request, in the server and in PostgreSQL.
        "server_us": _median(theirs, "server_us"),
        "database_us": _median(theirs, "database_us"),
        # How many times as many requests user-service answered in the same round.
        "times": round(statistics.median(our["rate"] / it["rate"] for our, it in zip(ours, theirs, strict=True)), 3),
        "rates": [round(it["rate"], 1) for it in theirs],
    }


def _median(rounds, key):
    values = [one[key] for one in rounds]
    return None if None in values else round(statistics.median(values), 4)
