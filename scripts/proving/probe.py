"""Sends the same few requests again and again, each on its own persistent connection, and logs every answer.

    python3 probe.py URL PROBES     PROBES is JSON: [{"name", "every", "method", "path", "body", "type"}, ...]

A line on stdout for each answer: name, when it was due (seconds of the monotonic clock), seconds from then to the
answer, status (0 without an answer), and whether it had `Retry-After`. The latency counts from the due time, so a slow
answer does not hide the requests that waited behind it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import sys
import threading
import time

from bearer import CREDENTIALS
from service import connect

TIMEOUT = 10.0


def ask(connection: http.client.HTTPConnection, probe: dict[str, str]) -> tuple[int, bool]:
    try:
        headers = {"Authorization": CREDENTIALS, **({"Content-Type": probe["type"]} if "type" in probe else {})}
        connection.request(probe.get("method", "GET"), probe["path"], probe.get("body"), headers)
        response = connection.getresponse()
        response.read()
        return response.status, response.getheader("Retry-After") is not None
    except (OSError, http.client.HTTPException):
        connection.close()  # the next request opens it again
        return 0, False


def keep_asking(url: str, probe: dict[str, str]) -> None:
    connection = connect(url, TIMEOUT)
    every = float(probe["every"])
    # Spread out, so that probes with the same interval do not all hit the same moment.
    due = time.monotonic() + random.random() * every
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        status, retry_after = ask(connection, probe)
        took = time.monotonic() - due
        # A single write, so that the threads' lines do not mix.
        sys.stdout.write(f"{probe['name']} {due:.6f} {took:.6f} {status} {int(retry_after)}\n")
        sys.stdout.flush()
        due += every


def main() -> None:
    # On busy cores, a probe must measure the service and not its own wait for a core.
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    url, probes = sys.argv[1], json.loads(sys.argv[2])
    threads = [threading.Thread(target=keep_asking, args=(url, probe), daemon=True) for probe in probes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
