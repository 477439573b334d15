"""Whether those who listen were told of everything that was done."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterable, Sequence

from consumer import Consumer
from known import Change
from readers import Reader, Told
from report import Report

Key = tuple[int, int, str]


def key(it: Change | Told) -> Key:
    return it.user_id, it.version, it.type


# An event is told within a second, but not on a machine that has other work.
PATIENCE = 60.0
# For what would be told again.
AFTERMATH = 1.0


def wait_until_told(listeners: Sequence[Consumer | Reader], made: Iterable[Change], since: float) -> None:
    """Until all of them were told of all that was done since then. Whether they were, is checked elsewhere."""
    due = {key(change) for change in made if change.begun >= since}
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not all(due <= {key(it) for it in one.events} for one in listeners):
        time.sleep(0.2)
    time.sleep(AFTERMATH)


def check_consumer(report: Report, events: Sequence[Told], made: Iterable[Change], since: float) -> None:
    """The broker's consumer: at least once, in order, and nothing that was not done. `made` is all that was ever done; what
    began before `since` need not be told of."""
    changes = list(made)
    first = _first(events)
    faults = _faults(first, [change for change in changes if change.begun >= since])
    faults["told of what nobody did"] = len({key(it) for it in first} - {key(it) for it in changes})
    told = f"{len(first)} events, {len(events) - len(first)} of them again"
    _check(report, "consumer", told, "at least once, in order", faults)


def check_reader(report: Report, reader: Reader, made: Iterable[Change], since: float) -> None:
    """A reader of the live stream: once, in order, and its streams ended in order."""
    first = _first(reader.events)
    faults = _faults(first, [change for change in made if change.begun >= since])
    faults["told again"] = len(reader.events) - len(first)
    faults["positions that do not rise"] = sum(
        one >= other for one, other in zip(reader.positions, reader.positions[1:], strict=False)
    )
    faults |= {how: count for how, count in reader.ends.items() if how != "ended"}
    told = f"{len(first)} events, {reader.ends['ended']} streams"
    _check(report, reader.name, told, "once, in order; streams end in order", faults)


def _check(report: Report, name: str, told: str, demand: str, faults: dict[str, int]) -> None:
    found = ", ".join(f"{count} {what}" for what, count in faults.items() if count)
    report.check(f"{name}: told of changes", f"{told}; {found}" if found else told, demand, not found)


def _first(events: Sequence[Told]) -> list[Told]:
    """Each event as it came first."""
    return list({event.id: event for event in reversed(events)}.values())[::-1]


def _faults(first: Sequence[Told], due: Sequence[Change]) -> dict[str, int]:
    missing = {key(it) for it in due} - {key(it) for it in first}
    last: collections.Counter[int] = collections.Counter()
    out_of_order = 0
    for event in first:
        out_of_order += event.version <= last[event.user_id]
        last[event.user_id] = max(last[event.user_id], event.version)
    return {"missing": len(missing), "out of their user's order": out_of_order, "to be told of nothing": not due}
