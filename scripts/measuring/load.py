"""Requests per second and their latencies: user-service and its peers side by side, round after round."""

import json
import statistics

import report
import systems
from clients import Pgbench, Wrk
from processes import Processes
from words import HEALTH

USERS = 100_000


def measure(options, results):
    for database in options.databases:
        report.step(f"{database}: {USERS:,} users")
        with Processes() as processes:
            servers, yardsticks = _on_postgres(processes) if database == "postgres" else _on_sqlite(processes)
            for operation, clients in _clients(processes, servers).items():
                clients += yardsticks.get(operation, [])
                _warm_up(clients, options, f"{database}, {operation}")
                for connections in options.connections:
                    group = _side_by_side(clients, connections, options, f"{database}, {operation}")
                    group["peak_bytes"] = {server.name: server.peak_memory() for server in servers}
                    results.put(f"load/{database}/{operation}/{connections}", group)


def _on_postgres(processes):
    postgres = systems.Postgres(processes)
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
    """Starts the service and its peers, each on its own table with the same number of users."""
    systems.seed(processes, url, USERS)
    systems.fill_peers(peers_store, USERS)
    service = systems.start_service(processes, url)
    systems.wait_until_ready(service)
    servers = [service, *(systems.start_peer(processes, name, peers_url) for name in systems.PEERS[database])]
    for server in servers:
        _check(server)
    return servers


def _check(server):
    """Checks that a server does the work that is measured."""
    status, body = server.ask(f"{server.users}/1")
    if status != 200 or {"id", "name", "email"} - json.loads(body).keys():
        report.fail(f"{server.name} does not read: {status} {body}")
    new = {"name": "Ada Lovelace", "email": f"{server.name}@check.example.com"}
    status, body = server.ask(server.users, new)
    if status != 201 or json.loads(body)["email"] != new["email"]:
        report.fail(f"{server.name} does not create: {status} {body}")
    if server.ask(f"{server.users}/{json.loads(body)['id']}")[1] != body:
        report.fail(f"{server.name} does not read what it created")


def _clients(processes, servers):
    reads = [Wrk(processes, server, [f"{server.users}/{id}" for id in range(1, USERS + 1)]) for server in servers]
    reads.append(Wrk(processes, servers[0], ["/health"], name=HEALTH))
    return {"read": reads, "create": [Wrk(processes, server) for server in servers]}


def _warm_up(clients, options, what):
    """A round that does not count. It opens connections, prepares statements, and lets PostgreSQL create its log's
    files."""
    report.step(f"{what}: warming up")
    for client in clients:
        client.measure(64, options.seconds)


def _side_by_side(clients, connections, options, what):
    clients = [client for client in clients if connections <= client.most_connections]
    rounds = {client.name: [] for client in clients}
    for number in range(options.rounds):
        report.step(f"{what}, {connections} connections: round {number + 1} of {options.rounds}")
        # The clients start a round in turn, so that the same one does not always follow another's writes.
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
        # The ratio of user-service's requests to this server's, in the same round.
        "times": round(statistics.median(our["rate"] / it["rate"] for our, it in zip(ours, theirs, strict=True)), 3),
        "rates": [round(it["rate"], 1) for it in theirs],
    }


def _median(rounds, key):
    values = [one[key] for one in rounds]
    return None if None in values else round(statistics.median(values), 4)
