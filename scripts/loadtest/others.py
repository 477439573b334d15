"""The crud mix with others' tools: the files in `loadtest/` do what they say."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

from bearer import CREDENTIALS
from tools import Tools

STORY = "the files for Locust, vegeta and k6, those that are there"
FILES = Path(__file__).resolve().parent.parent.parent / "loadtest"
MADE = 500
MIX = {"GET one": 0.75, "PUT": 0.15, "GET page": 0.05, "POST": 0.05}


def run(tools: Tools) -> None:
    locust(tools)
    targets(tools)
    vegeta(tools)
    k6(tools)


def locust(tools: Tools) -> None:
    before = users(tools)
    command = [tools.locust, "--locustfile", str(FILES / "locust" / "locustfile.py"), "--host", tools.service.url]
    command += ["--headless", "--users", "8", "--spawn-rate", "8", "--run-time", "10s", "--json", "--stop-timeout", "5"]
    found = json.loads(finished(tools, command, {"USERS": str(MADE)}))
    counts = {entry["name"]: entry["num_requests"] for entry in found}
    failed = sum(entry["num_failures"] for entry in found)
    requests = sum(counts.values())
    mix = {name: counts.get(name, 0) / max(requests, 1) for name in ("read", "update", "page", "create")}
    wanted = dict(zip(mix, MIX.values()))
    tools.report.check("Locust: requests, failed", f"{requests}, {failed}", "some, none", requests > 100 and failed == 0)
    check_mix(tools, "Locust", mix, wanted)
    tools.report.check("Locust: users that it left", str(users(tools) - before), "none", users(tools) == before)


def targets(tools: Tools) -> None:
    """What vegeta would send, sent one by one: also where there is no vegeta."""
    lines = printed_targets(tools, 2_000).splitlines()
    connection = http.client.HTTPConnection(tools.service.address, timeout=10)
    counts: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    for line in lines:
        target = json.loads(line)
        headers = {name: values[0] for name, values in target["header"].items()}
        connection.request(target["method"], target["url"], base64.b64decode(target.get("body", "")) or None, headers)
        answer = connection.getresponse()
        answer.read()
        statuses[answer.status] += 1
        kind = target["method"]
        counts[kind if kind != "GET" else "GET page" if "page_size" in target["url"] else "GET one"] += 1
    good = statuses[200] + statuses[201]
    tools.report.check("vegeta's targets: answers", str(dict(statuses)), "200, 201", good == len(lines) == 2_000)
    check_mix(tools, "vegeta's targets", {name: counts[name] / len(lines) for name in MIX}, MIX)


def vegeta(tools: Tools) -> None:
    if not shutil.which("vegeta"):
        tools.report.note("vegeta", "not run: it is not in PATH")
        return
    attack = ["vegeta", "attack", "-format=json", "-lazy", "-rate=200", "-duration=10s"]
    results = subprocess.run(
        attack, input=printed_targets(tools, 2_000, seed=2).encode(), capture_output=True, timeout=60, check=True
    ).stdout
    report = subprocess.run(
        ["vegeta", "report", "-type=json"], input=results, capture_output=True, timeout=60, check=True
    ).stdout
    found = json.loads(report)
    text = f"{found['requests']}, {found['success']:.1%}"
    tools.report.check("vegeta: requests, succeeded", text, "2000, all", (found["requests"], found["success"]) == (2_000, 1))


def k6(tools: Tools) -> None:
    if not shutil.which("k6"):
        tools.report.note("k6", "not run: it is not in PATH")
        return
    before = users(tools)
    for script in ("crud.js", "read.js"):
        command = ["k6", "run", "--quiet", str(FILES / "k6" / script)]
        variables = {"BASE_URL": tools.service.url, "RATE": "200", "DURATION": "10s", "USERS": str(MADE)}
        # Its thresholds decide its exit code.
        finished(tools, command, variables)
        tools.report.check(f"k6: {script}", "thresholds hold", "thresholds hold", True)
    tools.report.check("k6: users that it left", str(users(tools) - before), "none", users(tools) == before)


def printed_targets(tools: Tools, count: int, seed: int = 1) -> str:
    command = [str(FILES / "vegeta" / "targets"), "--url", tools.service.url, "--ids", f"1-{MADE}"]
    return finished(tools, [*command, "--count", str(count), "--seed", str(seed)], {})


def check_mix(tools: Tools, who: str, mix: dict[str, float], wanted: dict[str, float]) -> None:
    is_close = all(abs(mix[name] - share) < 0.03 for name, share in wanted.items())
    text = ", ".join(f"{name} {share:.1%}" for name, share in mix.items())
    tools.report.check(f"{who}: the mix", text, "75, 15, 5, 5 (± 3)", is_close)


def finished(tools: Tools, command: list[str], variables: dict[str, str]) -> str:
    # Without PYTHONPATH, whose modules have names that others use, too.
    env = {"PATH": os.environ["PATH"], "TOKEN": tools.token, **variables}
    done = subprocess.run(
        command, cwd=tools.folder("others"), env=env, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout}\n{done.stderr}")
    return done.stdout


def users(tools: Tools) -> int:
    connection = http.client.HTTPConnection(tools.service.address, timeout=10)
    path = "/api/v2/users?page_size=1&include_total=true"
    connection.request("GET", path, headers={"Authorization": CREDENTIALS})
    return json.loads(connection.getresponse().read())["total"]
