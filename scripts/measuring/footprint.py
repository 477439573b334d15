"""The cost of shipping and starting: the size of the binary, and the time until the service is ready."""

import statistics
import time

import report
import systems
from processes import Processes

USERS = 100_000


def measure(options, results):
    with Processes() as processes:
        url = f"sqlite://{processes.folder}/users.db"
        systems.seed(processes, url, USERS)
        report.step(f"{options.starts} starts on SQLite")
        starts = [_start(processes, url) for _ in range(options.starts)]
    results.put(
        "footprint",
        {
            "binary_bytes": systems.binary_size(),
            "users": USERS,
            "ready_ms": round(statistics.median(starts) * 1000, 1),
            "starts": options.starts,
        },
    )


def _start(processes, url):
    begin = time.perf_counter()
    # The time of the shutdown does not count.
    service = systems.start_service(processes, url, {"SHUTDOWN_DELAY": "0s"})
    while service.ask("/ready")[0] != 200:
        if time.perf_counter() - begin > 10:
            report.fail("user-service did not start within 10 s")
        time.sleep(0.0005)
    taken = time.perf_counter() - begin
    processes.stop(service.process)
    return taken
