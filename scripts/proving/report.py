"""The table of what was measured, beside what must be true."""

from __future__ import annotations

import math

ROW = "{:4}  {:44}  {:44}  {}"


class Report:
    """Prints each line as soon as it is known, and counts those that fail."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def heading(self, scenario: str, story: str) -> None:
        print(f"\n{scenario}: {story}")
        print(ROW.format("", "measured", "is", "must be"), flush=True)

    def note(self, what: str, measured: str) -> None:
        """Prints a number without a requirement, which explains the others."""
        print(ROW.format("", what, measured, "").rstrip(), flush=True)

    def check(self, what: str, measured: str, demand: str, holds: bool) -> None:
        if holds:
            self.passed += 1
        else:
            self.failed += 1
        print(ROW.format("PASS" if holds else "FAIL", what, measured, demand), flush=True)


def quantile(values: list[float], share: float) -> float:
    """The smallest value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.nan


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
