"""What scripts/measure is asked to do, on the command line."""

from __future__ import annotations

import argparse

import bounds
import footprint
import kinds
import load
import pages

DATABASES = ["postgres", "sqlite"]
CONNECTIONS = [1, 64, 256]
PARTS = {"load": load, "pages": pages, "footprint": footprint}


def parse(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/measure", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", action="append", choices=DATABASES)
    parser.add_argument("--connections", action="append", type=int, choices=CONNECTIONS)
    parser.add_argument("--seconds", type=_count, help="how long each load lasts")

    add = parser.add_argument_group("beside other ways to write it").add_argument
    of_peers = [
        add("--quick", action="store_true", help="shorter in everything, and away from docs"),
        add("--only", action="append", choices=PARTS, help="this part; may be given again"),
        add("--rounds", type=_count),
        add("--draw", action="store_true", help="measure nothing, draw what the data file holds"),
    ]

    add = parser.add_argument_group("beside another program").add_argument
    add("--beside", metavar="PROGRAM|COMMIT", help="the other one: a file, or a commit, which is built once")
    of_two = [
        add("--program", metavar="FILE", help="the one under test (default: this checkout's is built)"),
        add("--env", action="append", type=_variable, metavar="NAME=VALUE", help="for it only; may be given again"),
        add("--kind", action="append", choices=kinds.KINDS, help="this load (default: all); may be given again"),
        # Several times as many as a cache holds.
        add("--cold-users", type=_count, metavar="COUNT", default=1_000_000, help="for `cold` (default: 1000000)"),
        add("--pairs", type=_count, metavar="COUNT", default=40, help="at the most (default: 40)"),
        add("--bounds", choices=bounds.BOUNDS, help="judge by what this change promised"),
    ]

    arguments = parser.parse_args()
    misplaced = of_peers if arguments.beside else of_two
    given = [action.option_strings[0] for action in misplaced if getattr(arguments, action.dest) != action.default]
    if given:
        parser.error(f"{given[0]} goes {'without' if arguments.beside else 'with'} --beside")
    return arguments


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError("takes a whole number from 1")
    return count


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError("takes NAME=VALUE")
    return name, value
