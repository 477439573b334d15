"""Runs the scenarios and prints what was measured beside what must be true; called by `scripts/prove-limits`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from children import Children
from full_load import Bench, FullLoad
from proof import prove
from report import Report
from strangers import Strangers

SCENARIOS = {
    "sqlite": FullLoad("SQLite"),
    "postgres": FullLoad("PostgreSQL"),
    "sqlite-tls": FullLoad("SQLite", tls=True),
    "grpc-strangers": Strangers("gRPC"),
    "rest-strangers": Strangers("REST"),
}
# For the service, the crowd and the strangers: about 2,000 connections each.
OPEN_FILES = 4096


def bench(arguments: argparse.Namespace, folder: Path, children: Children, report: Report) -> Bench:
    return Bench(arguments.program, folder, children, report)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/prove-limits",
        description="Proves that the service stays alive and ready within the limits of a small container.",
    )
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    return prove(parser, SCENARIOS, bench, open_files=OPEN_FILES)


if __name__ == "__main__":
    sys.exit(main())
