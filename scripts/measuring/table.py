"""Writes the results as Markdown: all of them for docs/performance.md, the chart and what limits it for the README."""

import report
from words import DATABASES, HEALTH, PEERS, PGBENCH, about, cpu, latency, legend, rate, span, times

BEGIN, END = "<!-- performance:begin -->", "<!-- performance:end -->"
OPERATIONS = {
    "read": "Reads by id",
    "create": "Creates",
    "update": "Updates of a name",
    "crud": "Mixed: 75% reads, 15% updates, 5% creates, 5% lists of 10",
}
# What the peers do as well.
SHARED = ("read", "create")
NAMES = ["user-service", *PEERS, PGBENCH, HEALTH]
CHART = "![Requests a second of user-service and its peers]({})"


def render(data):
    results = data["results"]
    parts = [
        [CHART.format("performance.svg")],
        ["Requests a second · p50, p99 · how many times as many user-service answered in the same round:"],
        *(_load(results, operation) for operation in OPERATIONS),
        *_cpu(results),
        [f"- `{name}`: {text}." for name, text in legend(data).items()],
        _pages(results),
        _facts(results),
        [" ".join(about(data))],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def render_short(data):
    parts = [CHART.format("docs/performance.svg"), _alone(data["results"]), " ".join(about(data))]
    return "\n\n".join(part for part in parts if part) + "\n"


def insert(file, markdown):
    text = file.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        report.fail(f"{file} has no {BEGIN} ... {END}")
    file.write_text(f"{before}{BEGIN}\n{markdown}{END}{after}")


def _load(results, operation):
    return _side_by_side(results, operation, OPERATIONS[operation], _cell)


def _cpu(results):
    """Apart from the rates, which are already more than enough to read in one line."""
    tables = [_side_by_side(results, operation, title, _cpu_cell) for operation, title in OPERATIONS.items()]
    if not any(tables):
        return []
    return [["CPU time of one request, in the server + in PostgreSQL:"], *tables]


def _side_by_side(results, operation, title, cell):
    found = {}
    for name, group in results.items():
        kind, *key = name.split("/")
        if kind == "load" and key[1] == operation:
            found[key[0], int(key[2])] = group["servers"]
    columns = sorted({connections for _, connections in found})
    rows = []
    for database, database_title in DATABASES.items():
        for name in NAMES:
            cells = [cell(found.get((database, connections), {}), name) for connections in columns]
            if any(cells):
                label = f"**{name}**" if name == "user-service" else f"`{name}`"
                rows.append([f"{label}, {database_title}", *cells])
    if not rows:
        return []
    heads = [f"{connections} connection{'s' if connections > 1 else ''}" for connections in columns]
    return _table([title, *heads], rows)


def _alone(results):
    """What the chart does not show: one client gains nothing from batches."""
    servers = {what: results.get(f"load/postgres/{what}/1", {}).get("servers", {}) for what in SHARED}
    ratios = {what: [found[peer]["times"] for peer in PEERS if peer in found] for what, found in servers.items()}
    if not all(ratios.values()):
        return ""
    return (
        "**One client that waits for each response gains nothing from batches.** With one connection, on PostgreSQL, "
        f"user-service served {span(ratios['read'])} times as many reads as the others, and {span(ratios['create'])} "
        "times as many creates."
    )


def _cell(servers, name):
    if name not in servers:
        return ""
    measured = servers[name]
    parts = [f"**{rate(measured['rate'])}**" if name == "user-service" else rate(measured["rate"])]
    if measured["p99_ms"] is not None:
        parts.append(f"{latency(measured['p50_ms'])}, {latency(measured['p99_ms'])}")
    if name != "user-service":
        parts.append(f"**{times(measured['times'])}**")
    return " · ".join(parts)


def _cpu_cell(servers, name):
    # Results of earlier versions have none.
    server, database = (servers.get(name, {}).get(part) for part in ("server_us", "database_us"))
    # pgbench is no server, and SQLite has none.
    return " ".join(["" if server is None else cpu(server), "" if database is None else f"+ {cpu(database)}"]).strip()


def _pages(results):
    found = {title: results[f"pages/{key}"] for key, title in DATABASES.items() if f"pages/{key}" in results}
    if not found:
        return []
    requests = list(dict.fromkeys(one["request"] for group in found.values() for one in group["requests"]))
    by_name = [{one["request"]: one for one in group["requests"]} for group in found.values()]
    users = max(group["users"] for group in found.values())
    rows = [
        [request, *(f"{latency(one[request]['p50_ms'])} ({latency(one[request]['p99_ms'])})" for one in by_name)]
        for request in requests
    ]
    return _table([f"One client, {users:,} users: median (p99)", *found], rows)


def _facts(results):
    facts = []
    if "footprint" in results:
        footprint = results["footprint"]
        facts.append(f"- The binary has {footprint['binary_bytes'] / 1e6:.1f} MB.")
        facts.append(
            f"- On a SQLite file with {footprint['users']:,} users it is ready {footprint['ready_ms']:.0f} ms "
            f"after its start (median of {footprint['starts']})."
        )
    peaks = {}
    for name, group in results.items():
        if name.startswith("load/"):
            title = DATABASES[name.split("/")[1]]
            peaks[title] = max(peaks.get(title, 0), group["peak_bytes"]["user-service"])
    if peaks:
        held = " and ".join(f"{peak / 2**20:.0f} MiB on {title}" for title, peak in peaks.items())
        facts.append(f"- Its memory under the load above peaked at {held}.")
    return facts


def _table(heads, rows):
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
