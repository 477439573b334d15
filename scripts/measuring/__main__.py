"""Measures user-service and other implementations of it: the same load, in turn, round after round.

  scripts/measure                      everything; some 22 minutes, and the time to build
  scripts/measure --quick --only load  a first impression, before and after a change
  scripts/measure --beside HEAD~       compares this program with another one, and nothing else; hours, unless
                                       --kind, --database and --connections choose

Everything runs on this machine and shares its cores: wrk, the servers, and a private PostgreSQL. The results go to
docs/performance.json, their chart to docs/performance.svg, their tables into docs/performance.md and the chart into
README.md; with --quick, to target/measure instead. Results that are not measured this time stay unchanged.

With --beside, two programs get the same load in turn, in pairs of rounds, which are repeated until the 90% intervals of
the ratios of their rates and CPU times are narrower than 3%. The table of ratios is printed; every round goes to a file
in target/measure. With --bounds, the exit code is 1 if a ratio fails its bound: if all of its interval is outside.
"""

import dataclasses
import signal
import sys

import arguments
import bounds
import chart
import compare
import kinds
import machine
import report
import systems
import table
from arguments import CONNECTIONS, DATABASES, PARTS
from results import Results


@dataclasses.dataclass
class Options:
    databases: list
    connections: list
    rounds: int
    seconds: int
    many: int
    starts: int


def main():
    asked = arguments.parse(__doc__)
    # Raises SystemExit, so that every `finally` runs.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    if asked.beside:
        sys.exit(1 if _compare(asked) else 0)
    output = systems.TARGET / "measure" if asked.quick else systems.ROOT / "docs"
    options = Options(
        databases=asked.database or DATABASES,
        connections=asked.connections or CONNECTIONS,
        rounds=asked.rounds or (3 if asked.quick else 5),
        seconds=asked.seconds or (1 if asked.quick else 3),
        many=20_000 if asked.quick else 1_000_000,
        starts=5 if asked.quick else 21,
    )
    results = Results(output / "performance.json")
    if not asked.draw:
        parts = asked.only or list(PARTS)
        _warn_if_busy()
        results.measured_on(machine.describe(systems.postgres_programs()))
        systems.build(with_peers="load" in parts)
        for part in parts:
            PARTS[part].measure(options, results)
    _draw(results, output, into_documents=not asked.quick)


def _compare(asked):
    environment = dict(asked.env or [])
    applied = bounds.of(asked.bounds, environment) if asked.bounds else []
    if asked.bounds and not applied:
        report.fail(f"no bound of {asked.bounds} is for a program with {environment}")
    _warn_if_busy()
    return compare.compare(
        compare.Options(
            beside=asked.beside,
            program=asked.program,
            kinds=asked.kind or list(kinds.KINDS),
            databases=asked.database or DATABASES,
            connections=asked.connections or CONNECTIONS,
            seconds=asked.seconds or 3,
            pairs=asked.pairs,
            cold_users=asked.cold_users,
            environment=environment,
            bounds=applied,
        )
    )


def _warn_if_busy():
    if machine.is_busy():
        report.step("this machine has, or just had, other work: the numbers will tell of that, too")


def _draw(results, output, into_documents):
    if not results.data["results"]:
        report.fail(f"{results.file} holds no results")
    (output / "performance.svg").write_text(chart.draw(results.data))
    markdown = table.render(results.data)
    if into_documents:
        table.insert(output / "performance.md", markdown)
        table.insert(systems.ROOT / "README.md", table.render_short(results.data))
    print(markdown)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
