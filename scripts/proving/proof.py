"""What every proof does around its scenarios: selects them, creates a folder, ends all processes, and counts
results."""

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
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from children import Children
from report import Report

B = TypeVar("B", contravariant=True)


class Scenario(Protocol[B]):
    STORY: str

    def run(self, bench: B) -> None: ...


def prove(
    parser: argparse.ArgumentParser,
    scenarios: dict[str, Scenario[B]],
    bench: Callable[[argparse.Namespace, Path, Children, Report], B],
    *,
    open_files: int,
) -> int:
    """Runs the scenarios that the arguments name, and returns the exit code. `bench` creates what they share."""
    parser.epilog = "Exits with 1 when a line fails."
    parser.add_argument("--only", action="append", choices=scenarios, metavar="NAME", help=", ".join(scenarios))
    arguments = parser.parse_args()
    _raise_open_files(parser.prog, open_files)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)

    start = time.monotonic()
    report = Report()
    print(f"{os.cpu_count()} cores, {platform.system()} {platform.release()}; everything below shares them")
    folder = Path(tempfile.mkdtemp(prefix="user-service-proof."))
    folder.chmod(0o711)  # started by root, the servers run as other users, which need access
    try:
        with Children() as children:
            shared = bench(arguments, folder, children, report)
            for name, scenario in scenarios.items():
                if arguments.only is None or name in arguments.only:
                    report.heading(name, scenario.STORY)
                    scenario.run(shared)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{report.passed} passed, {report.failed} failed, in {time.monotonic() - start:.0f} s")
    return 1 if report.failed else 0


def _interrupt(number: int, _frame: object) -> None:
    """Exits in order. A second signal must not disturb that."""
    for one in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


def _raise_open_files(name: str, least: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < least:
        sys.exit(f"{name} needs {least} open files, but the limit is {hard}: raise it (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, least), hard))
