"""Checks that listeners received every change."""

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


# An event arrives within a second, but later on a busy machine.
PATIENCE = 60.0
# Time for events that would arrive again.
AFTERMATH = 1.0


def wait_until_told(listeners: Sequence[Consumer | Reader], made: Iterable[Change], since: float) -> None:
    """Waits until all listeners have received all changes since then, or a timeout. Other functions check the
    result."""
    due = {key(change) for change in made if change.begun >= since}
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not all(due <= {key(it) for it in one.events} for one in listeners):
        time.sleep(0.2)
    time.sleep(AFTERMATH)


def check_consumer(report: Report, events: Sequence[Told], made: Iterable[Change], since: float) -> None:
    """Checks the broker's consumer: at least once, in order, and nothing that did not happen. `made` holds all changes;
    those that began before `since` need not arrive."""
    changes = list(made)
    first = _first(events)
    faults = _faults(first, [change for change in changes if change.begun >= since])
    faults["told of what nobody did"] = len({key(it) for it in first} - {key(it) for it in changes})
    told = f"{len(first)} events, {len(events) - len(first)} of them again"
    _check(report, "consumer", told, "at least once, in order", faults)


def check_reader(report: Report, reader: Reader, made: Iterable[Change], since: float) -> None:
    """Checks a reader of the live stream: once, in order, and its streams ended in order."""
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
    """The first delivery of each event."""
    return list({event.id: event for event in reversed(events)}.values())[::-1]


def _faults(first: Sequence[Told], due: Sequence[Change]) -> dict[str, int]:
    missing = {key(it) for it in due} - {key(it) for it in first}
    last: collections.Counter[int] = collections.Counter()
    out_of_order = 0
    for event in first:
        out_of_order += event.version <= last[event.user_id]
        last[event.user_id] = max(last[event.user_id], event.version)
    return {"missing": len(missing), "out of their user's order": out_of_order, "to be told of nothing": not due}
