"""The wording of results in the chart and the tables."""

DATABASES = {"postgres": "PostgreSQL", "sqlite": "SQLite"}

# In the order of display.
PEERS = {
    "pg_pipelined": "actix-web, statements pipelined by tokio-postgres",
    "axum_sqlx": "axum, a pool of SQLx",
    "diesel_block": "Diesel's pool in web::block, the classic way",
    "diesel_sqlite": "the classic way on SQLite",
}
PGBENCH = "pgbench"
HEALTH = "/health"


def legend(data):
    """The meanings of the names that were measured."""
    measured = {name for group in data["results"].values() for name in group.get("servers", {})}
    meaning = {
        **PEERS,
        PGBENCH: "PostgreSQL without HTTP, a statement a round trip",
        HEALTH: "what the service answers without a database",
    }
    return {name: text for name, text in meaning.items() if name in measured}


def rate(value):
    """Rounded to three digits, which is more than two measurements agree on."""
    return f"{float(f'{value:.3g}'):,.0f}"


def latency(ms):
    digits = 2 if ms < 1 else 1 if ms < 100 else 0
    return f"{ms:.{digits}f} ms"


def cpu(microseconds):
    return f"{microseconds:.{1 if microseconds < 100 else 0}f} µs"


def times(ratio):
    return f"{ratio:.{1 if ratio < 9.95 else 0}f} ×"


def span(ratios):
    """The range of the ratios."""
    ends = dict.fromkeys(f"{ratio:.1f}" for ratio in (min(ratios), max(ratios)))
    return " to ".join(ends)


def about(data):
    """What was measured, when, where, and at which commit."""
    machine, groups = data["machine"], data["results"].values()
    dates = sorted({group["date"][:10] for group in groups})
    commits = ", ".join(sorted({group["commit"] for group in groups}))
    rounds = sorted({f"{group['rounds']} rounds of {group['seconds']} s" for group in groups if "rounds" in group})
    return [
        f"Medians of {' and of '.join(rounds)}, measured on {' to '.join(dict.fromkeys((dates[0], dates[-1])))} "
        f"at commit {commits}.",
        f"{machine['cpu']}, {machine['cores']} cores, which the load, the server and PostgreSQL share; "
        f"{machine['memory_gib']} GiB; {machine['file_system']}.",
        f"{machine['os']}; PostgreSQL {machine['postgresql']}; rustc {machine['rustc']}; wrk {machine['wrk']}.",
    ]
