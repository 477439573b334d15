"""Runs the scenarios and prints what was measured beside what must be true; called by `scripts/prove-overload`."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import frozen
import hung_up
import postgres_creates
import postgres_reads
import slow_sockets
import sqlite_pages
from bench import Bench
from children import Children
from report import Report

SCENARIOS = {
    "postgres-reads": postgres_reads,
    "postgres-creates": postgres_creates,
    "sqlite-pages": sqlite_pages,
    "frozen": frozen,
    "hung-up": hung_up,
    "slow-sockets": slow_sockets,
}
# A generator and a service with some thousand connections each.
OPEN_FILES = 8192


def interrupt(number: int, _frame: object) -> None:
    """Leaves everything in order; a second signal must not disturb that."""
    for one in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


def raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES:
        sys.exit(f"prove-overload needs {OPEN_FILES} open files, but the limit is {hard}: raise it (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, OPEN_FILES), hard))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/prove-overload",
        description="Proves, with numbers, what the service does when it is asked for more than it can carry.",
        epilog="Exits with 1 when a line fails.",
    )
    parser.add_argument("--only", action="append", choices=SCENARIOS, metavar="NAME", help=", ".join(SCENARIOS))
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--oha", required=True, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    raise_open_files()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)

    start = time.monotonic()
    report = Report()
    print(f"{os.cpu_count()} cores, {platform.system()} {platform.release()}; everything below shares them")
    folder = Path(tempfile.mkdtemp(prefix="user-service-overload."))
    folder.chmod(0o711)  # run by root, PostgreSQL runs as another user, which must get through
    try:
        with Children() as children:
            bench = Bench(arguments.program, arguments.oha, folder, children, report)
            for name, scenario in SCENARIOS.items():
                if arguments.only is None or name in arguments.only:
                    report.heading(name, scenario.STORY)
                    scenario.run(bench)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{report.passed} passed, {report.failed} failed, in {time.monotonic() - start:.0f} s")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
