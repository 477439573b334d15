"""Runs the scenarios and prints what was found beside what must be true; called by `scripts/prove-upgrade`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import rolling
import scaling
from bench import Bench
from children import Children
from proof import prove
from report import Report

SCENARIOS = {"rolling": rolling, "scaling": scaling}
# For the proxy, which needs two for each connection.
OPEN_FILES = 4096


def bench(arguments: argparse.Namespace, folder: Path, children: Children, report: Report) -> Bench:
    report.note("the previous release", arguments.previous_name)
    return Bench(arguments.program, arguments.previous, folder, children, report)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/prove-upgrade",
        description="Proves that replicas behind a proxy can be replaced and added without anybody noticing.",
    )
    for name in ("--program", "--previous", "--previous-name"):
        parser.add_argument(name, required=True, help=argparse.SUPPRESS)
    return prove(parser, SCENARIOS, bench, open_files=OPEN_FILES)


if __name__ == "__main__":
    sys.exit(main())
