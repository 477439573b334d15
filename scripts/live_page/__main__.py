"""Opens the live page and compares it with the offered load; called by `scripts/prove-live-page`."""

from __future__ import annotations

import argparse
import collections
import json
import math
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import service
from browser import Browser
from children import Children
from ports import free_port
from report import Report
from service import Service

HERE = Path(__file__).parent
WIDE = (1440, 900)
NARROW = (380, 800)
SCHEMES = ("light", "dark")

# A load without refusals, and one that small mailboxes refuse and, for callers with a shared name, the rate limit.
LIMITS = {"DB_MAILBOX": "12", "RATE_LIMIT": "60"}
STEADY = {"callers": 10, "shared": 0, "rate": 30}
FLOOD = {"callers": 60, "shared": 12, "rate": 50}
LOAD_SECONDS = 22
# The first and last seconds of the load are not representative.
WARM_UP_SECONDS = 5
LOOKS = 8

READ = """
const texts = {};
for (const one of document.querySelectorAll("[data-value]")) texts[one.dataset.value] = one.textContent;
for (const one of document.querySelectorAll("[data-line]")) texts["line " + one.dataset.line] = one.lastChild.textContent;
texts.state = document.querySelector("#state b").textContent;
return texts;
"""
PICTURES = "return Array.from(document.querySelectorAll('canvas'), (canvas) => canvas.toDataURL())"
WIDTHS = "return [document.documentElement.scrollWidth, innerWidth]"


class Proof:
    def __init__(self, program: str, pictures: Path, folder: Path, children: Children, report: Report) -> None:
        self._program = program
        self._pictures = pictures
        self._folder = folder
        self._children = children
        self._report = report
        self._url = f"sqlite://{folder / 'users.db'}"
        self._port = free_port()

    def run(self) -> None:
        service.seed(self._program, self._folder, self._url, 1000)
        served = self._serve()
        browser = Browser(self._children, self._folder)
        browser.look(SCHEMES[0], *WIDE)
        browser.open(f"http://{served.address}/")
        self._idle(browser)
        self._steady(browser, served)
        self._flood(browser, served)
        self._quiet(browser, served)
        self._restart(browser, served)
        browser.close()

    def _serve(self) -> Service:
        return Service(self._children, self._program, self._folder, self._url, {**LIMITS, "SERVER_PORT": str(self._port), "GRPC_PORT": "0"})

    def _idle(self, browser: Browser) -> None:
        self._report.heading("idle", "nobody asks for anything")
        texts = _wait_for_state(browser, "Idle", 15)
        check = self._report.check
        check("state", texts["state"], "Idle", texts["state"] == "Idle")
        check("requests", texts["total"], "0/s", texts["total"] == "0/s")
        check("latency, p99", texts["p99"], "not known", texts["p99"] == "–")
        check("database", f"{texts['version']}, {texts['database']}", "known", texts["database"] == "sqlite")
        self._take_pictures(browser, "idle")

    def _steady(self, browser: Browser, served: Service) -> None:
        offered = STEADY["callers"] * STEADY["rate"]
        self._report.heading("steady", f"{offered} requests a second, for {LOAD_SECONDS} s")
        load = self._load(served, **STEADY)
        looks, seconds, pictures = _look(browser)
        answers = _finish(load, seconds)
        check = self._report.check
        check("state", looks[-1]["state"], "Serving", looks[-1]["state"] == "Serving")
        self._compare("requests", looks, "total", sum(answers.values()), 0.15)
        p50, p99 = (_number(looks[-1][name]) for name in ("p50", "p99"))
        check("latency", f"p50 {looks[-1]['p50']}, p99 {looks[-1]['p99']}", "p50 <= p99", 0 < p50 <= p99)
        sizes = [looks[-1][f"line batch{lane}"] for lane in ("Lookups", "Pages", "Writes")]
        check("batch sizes", ", ".join(sizes), ">= 1", all(_number(size) >= 1 for size in sizes))
        ages = len({look["uptime"] for look in looks})
        check("different times since the start", f"{ages} in {LOOKS} looks", f">= {LOOKS - 2}", ages >= LOOKS - 2)
        moved = sum(one != other for one, other in zip(*pictures))
        check("charts that moved", f"{moved} of {len(pictures[0])}", "all 6", moved == len(pictures[0]) == 6)

    def _flood(self, browser: Browser, served: Service) -> None:
        self._report.heading("flood", f"more than is let in, for {LOAD_SECONDS} s")
        load = self._load(served, **FLOOD)
        looks, seconds, _ = _look(browser)
        self._take_pictures(browser, "load")
        answers = _finish(load, seconds)
        self._compare("requests", looks, "total", sum(answers.values()), 0.25)
        self._compare("refused, 503", looks, "line overloaded", answers["503"], 0.4)
        self._compare("refused, 429", looks, "line limited", answers["429"], 0.4)
        size = max(_number(look["line batchLookups"]) for look in looks)
        self._report.check("batch size of look-ups, at most", f"{size}", "> 1", size > 1)
        errors = max(_number(look["line failed"]) for look in looks)
        self._report.check("errors, at most", f"{errors}/s", "none", errors == 0)

    def _quiet(self, browser: Browser, served: Service) -> None:
        complaints = browser.complaints()
        self._report.check("the console's complaints", "; ".join(complaints) or "none", "none", not complaints)
        foreign = {url for url in browser.requests() if not url.startswith((f"http://{served.address}/", "data:"))}
        self._report.check("requests to elsewhere", ", ".join(sorted(foreign)) or "none", "none", not foreign)

    def _restart(self, browser: Browser, served: Service) -> None:
        self._report.heading("restart", "the service ends, and starts again")
        check = self._report.check
        served.stop()
        texts = _wait_for_state(browser, "Not reachable", 10)
        check("state, while it is gone", texts["state"], "Not reachable", texts["state"] == "Not reachable")
        check("requests, while it is gone", texts["total"], "not known", texts["total"] == "–")
        served = self._serve()
        texts = _wait_for_state(browser, "Idle", 15)
        check("state, afterwards", texts["state"], "Idle", texts["state"] == "Idle")
        negative = [text for text in texts.values() if text.startswith("-")]
        check("negative numbers", ", ".join(negative) or "none", "none", not negative)
        served.stop()

    def _load(self, served: Service, *, callers: int, shared: int, rate: int) -> subprocess.Popen[bytes]:
        arguments = [served.address, str(LOAD_SECONDS), str(callers), str(shared), str(rate)]
        with open(self._folder / "load.log", "wb") as output:
            load = self._children.start([sys.executable, "-B", str(HERE / "load.py"), *arguments], cwd=str(self._folder), output=output)
        load.log = self._folder / "load.log"
        return load

    def _compare(self, what: str, looks: list[dict[str, str]], name: str, counted: float, tolerance: float) -> None:
        """Compares the page's numbers with what the load has counted each second, within a relative tolerance."""
        seen = statistics.mean(_number(look[name]) for look in looks)
        close = counted > 0 and math.isclose(seen, counted, rel_tol=tolerance)
        self._report.check(f"{what}, on average", f"{seen:.0f}/s", f"{counted:.0f}/s, give or take {tolerance:.0%}", close)

    def _take_pictures(self, browser: Browser, name: str) -> None:
        for scheme in SCHEMES:
            for prefix, size in (("", WIDE), ("narrow-", NARROW)):
                browser.look(scheme, *size)
                time.sleep(0.5)
                widths = browser.run(WIDTHS)
                if widths[0] > widths[1]:
                    self._report.check(f"width of the page in a window of {size[0]}", str(widths[0]), "no more", False)
                browser.screenshot(self._pictures / f"{prefix}{name}-{scheme}.png")
        browser.look(SCHEMES[0], *WIDE)


def _look(browser: Browser) -> tuple[list[dict[str, str]], range, list[list[str]]]:
    """What the page shows in each second, which seconds these were, and the charts at the beginning and the end."""
    time.sleep(WARM_UP_SECONDS)
    looks, first, start = [], browser.run(PICTURES), int(time.monotonic())
    for _ in range(LOOKS):
        looks.append(browser.run(READ))
        time.sleep(1)
    # Each look shows the second before it.
    return looks, range(start - 1, int(time.monotonic()) - 1), [first, browser.run(PICTURES)]


def _finish(load: subprocess.Popen[bytes], seconds: range) -> collections.Counter[str]:
    """The load's answers by status, on average for one of these seconds."""
    if load.wait(LOAD_SECONDS + 30) != 0:
        raise RuntimeError(f"the load failed: {load.log.read_text(errors='replace')}")
    answers: collections.Counter[str] = collections.Counter()
    for second, statuses in json.loads(load.log.read_text()).items():
        if int(second) in seconds:
            answers.update({status: count / len(seconds) for status, count in statuses.items()})
    return answers


def _wait_for_state(browser: Browser, state: str, seconds: float) -> dict[str, str]:
    deadline = time.monotonic() + seconds
    while (texts := browser.run(READ))["state"] != state and time.monotonic() < deadline:
        time.sleep(0.2)
    return texts


def _number(text: str) -> float:
    """The number at the beginning of a text, with seconds as milliseconds, or 0 if it is unknown."""
    number = float(text.split("/")[0].split()[0].replace(",", "")) if text[:1].isdigit() else 0.0
    return 1000 * number if text.endswith(" s") else number


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/prove-live-page")
    parser.add_argument("--program", required=True)
    parser.add_argument("--pictures", required=True, type=Path)
    arguments = parser.parse_args()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    report = Report()
    folder = Path(tempfile.mkdtemp(prefix="user-service-live-page."))
    try:
        with Children() as children:
            Proof(arguments.program, arguments.pictures, folder, children, report).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{report.passed} passed, {report.failed} failed; screenshots are in {arguments.pictures}")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
