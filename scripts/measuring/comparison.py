"""What a comparison brings: a table that grows as it is measured, the verdicts, and a file with every round."""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path
from typing import Any

import words
from bounds import FAILS, HOLDS, UNDECIDED, Bound
from interval import SHARE, Interval
from pairs import LEAST, Compared, Pairs

_MEASURES = {
    "rate": ("requests a second", words.rate),
    "server_us": ("CPU of the service", words.cpu),
    "database_us": ("CPU of PostgreSQL", words.cpu),
    "cpu_us": ("CPU in all", words.cpu),
    "p50_ms": ("p50", words.latency),
    "p99_ms": ("p99", words.latency),
}


class Comparison:
    def __init__(self, folder: Path, about: dict[str, str], bounds: list[Bound]) -> None:
        now = datetime.datetime.now(datetime.timezone.utc)
        self._file = folder / f"beside-{now:%Y%m%dT%H%M%SZ}.json"
        self._about = {"date": now.isoformat(timespec="seconds"), **about}
        self._measured: dict[str, Any] = {}
        self._bounds = bounds
        self._unmeasured = list(bounds)
        self._verdicts: list[str] = []

    def begin(self) -> None:
        for name, text in self._about.items():
            print(f"- {name}: {text}")
        print(f"\nMedians of both, the ratio of this one to the other, and its {SHARE:.0%} interval:\n")
        print("| | this | other | ratio | interval | pairs | bound | |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |", flush=True)

    def put(self, database: str, kind: str, connections: int, pairs: Pairs) -> None:
        """Prints a load's lines, and keeps its rounds whatever comes next."""
        compared = pairs.compared()
        verdicts = {}
        for measure, (title, write) in _MEASURES.items():
            if measure in compared:
                figures = [write(compared[measure][side]) for side in ("ours", "theirs")]
                ratio = compared[measure]["ratio"]
                bound = self._bound(database, kind, connections, measure)
                verdicts[measure] = _verdict(bound, ratio, pairs) if bound else ""
                if measure == "cpu_us" and "database_us" not in compared:
                    title = _MEASURES["server_us"][0]
                name = f"{words.DATABASES[database]}, {kind}, {connections}: {title}"
                row = [name, *figures, *_written(ratio), str(len(pairs.rounds)), str(bound or ""), verdicts[measure]]
                print(f"| {' | '.join(row)} |", flush=True)
        self._verdicts += filter(None, verdicts.values())
        self._keep(f"{database}/{kind}/{connections}", compared, verdicts, pairs)

    def end(self) -> None:
        if self._bounds:
            counts = {verdict: self._verdicts.count(verdict) for verdict in (HOLDS, FAILS, UNDECIDED)}
            counts["not measured"] = len(self._unmeasured)
            print(f"\nBounds: {', '.join(f'{what}: {count}' for what, count in counts.items())}.")
        print(f"\nEvery round is in {self._file}.")

    def fails(self) -> bool:
        return FAILS in self._verdicts

    def _bound(self, database: str, kind: str, connections: int, measure: str) -> Bound | None:
        found = next((bound for bound in self._bounds if bound.is_for(database, kind, connections, measure)), None)
        self._unmeasured = [bound for bound in self._unmeasured if bound is not found]
        return found

    def _keep(self, name: str, compared: dict[str, Compared], verdicts: dict[str, str], pairs: Pairs) -> None:
        measured = {
            measure: {**figures, "ratio": dataclasses.asdict(figures["ratio"]), "verdict": verdicts[measure]}
            for measure, figures in compared.items()
        }
        rounds = [{"this": ours, "other": theirs} for ours, theirs in pairs.rounds]
        self._measured[name] = {"measures": measured, "rounds": rounds}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({"about": self._about, "measured": self._measured}, indent=1) + "\n")


def _verdict(bound: Bound, ratio: Interval, pairs: Pairs) -> str:
    """The interval of a few pairs, which is what a short trial brings, proves nothing."""
    return bound.judge(ratio) if len(pairs.rounds) >= LEAST else UNDECIDED


def _written(ratio: Interval) -> tuple[str, str]:
    return f"{ratio.estimate:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}"
