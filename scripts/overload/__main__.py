"""Runs the scenarios and prints what was measured beside what must be true; called by `scripts/prove-overload`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import frozen
import hung_up
import postgres_creates
import postgres_reads
import slow_sockets
import sqlite_pages
from bench import Bench
from children import Children
from proof import prove
from report import Report

SCENARIOS = {
    "postgres-reads": postgres_reads,
    "postgres-creates": postgres_creates,
    "sqlite-pages": sqlite_pages,
    "frozen": frozen,
    "hung-up": hung_up,
    "slow-sockets": slow_sockets,
}
# For a generator and a service with some thousand connections each.
OPEN_FILES = 8192


def bench(arguments: argparse.Namespace, folder: Path, children: Children, report: Report) -> Bench:
    return Bench(arguments.program, arguments.oha, folder, children, report)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/prove-overload",
        description="Proves, with numbers, what the service does when it is asked for more than it can carry.",
    )
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--oha", required=True, help=argparse.SUPPRESS)
    return prove(parser, SCENARIOS, bench, open_files=OPEN_FILES)


if __name__ == "__main__":
    sys.exit(main())
