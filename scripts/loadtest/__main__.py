"""Runs the scenarios and prints what was measured beside what must be true; called by `scripts/prove-loadtest`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import closed
import open_loop
import others
from children import Children
from proof import prove
from report import Report
from tools import Tools

SCENARIOS = {"closed": closed, "open": open_loop, "others": others}
OPEN_FILES = 4096


def tools(arguments: argparse.Namespace, folder: Path, children: Children, report: Report) -> Tools:
    return Tools(arguments, folder, children, report)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/prove-loadtest",
        description="Proves that the load tester measures what other tools measure.",
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each measurement is repeated (default 5)")
    parser.add_argument("--seconds", type=int, default=8, help="how long each takes (default 8)")
    for hidden in ("--program", "--loadtest", "--oha", "--locust"):
        parser.add_argument(hidden, required=True, help=argparse.SUPPRESS)
    return prove(parser, SCENARIOS, tools, open_files=OPEN_FILES)


if __name__ == "__main__":
    sys.exit(main())
