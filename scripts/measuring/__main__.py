"""Measures user-service and other implementations of it: the same load, in turn, round after round.

  scripts/measure                      everything; about 18 minutes, and the time to build
  scripts/measure --quick --only load  a first impression, before and after a change

Everything runs on this machine and shares its cores: wrk, the servers, and a private PostgreSQL. The results go to
docs/performance.json, their chart to docs/performance.svg, their tables into docs/performance.md and the chart into
README.md; with --quick, to target/measure instead. Results that are not measured this time stay unchanged.
"""

import argparse
import dataclasses
import signal
import sys

import chart
import footprint
import load
import machine
import pages
import report
import systems
import table
from results import Results

PARTS = {"load": load, "pages": pages, "footprint": footprint}


@dataclasses.dataclass
class Options:
    databases: list
    connections: list
    rounds: int
    seconds: int
    many: int
    starts: int


def main():
    arguments = _arguments()
    output = systems.TARGET / "measure" if arguments.quick else systems.ROOT / "docs"
    options = Options(
        databases=arguments.database or ["postgres", "sqlite"],
        connections=arguments.connections or [1, 64, 256],
        rounds=arguments.rounds or (3 if arguments.quick else 5),
        seconds=arguments.seconds or (1 if arguments.quick else 3),
        many=20_000 if arguments.quick else 1_000_000,
        starts=5 if arguments.quick else 21,
    )
    results = Results(output / "performance.json")
    if not arguments.draw:
        # Raises SystemExit, so that every `finally` runs.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: sys.exit(128 + number))
        parts = arguments.only or list(PARTS)
        if machine.is_busy():
            report.step("this machine has, or just had, other work: the numbers will tell of that, too")
        results.measured_on(machine.describe(systems.postgres_programs()))
        systems.build(with_peers="load" in parts)
        for part in parts:
            PARTS[part].measure(options, results)
    _draw(results, output, into_documents=not arguments.quick)


def _arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/measure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="shorter in everything, and away from docs")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be given again")
    parser.add_argument("--database", action="append", choices=["postgres", "sqlite"])
    parser.add_argument("--connections", action="append", type=int, choices=[1, 64, 256])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="how long each load lasts")
    parser.add_argument("--draw", action="store_true", help="measure nothing, draw what the data file holds")
    return parser.parse_args()


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
