"""The paths that the proxy offers to clients, and those that it hides, in every spelling."""

from __future__ import annotations

import http.client

from report import Report

FOR_CLIENTS = ["/health", "/livez", "/ready", "/readyz", "/openapi.json", "/docs/", "/%72eady"]
# The second is the first, encoded.
HIDDEN = ["/metrics", "/%6Detrics", "/"]
# The service knows none of these paths, but it would if it ever normalised paths.
ROUNDABOUT = ["//metrics", "/api/../metrics", "/api/%2e%2e/metrics", "/docs/..%2Fmetrics", "/api/%2E%2E%2F%6Detrics"]


def check_paths(report: Report, proxy: str, replica: str) -> None:
    """Checks the replica directly too, because the proxy need not hide what the replica lacks."""
    _check(report, "paths for clients, through the proxy", proxy, FOR_CLIENTS, 200)
    _check(report, "paths for operators, at the replica", replica, HIDDEN, 200)
    _check(report, "paths for operators, through the proxy", proxy, HIDDEN + ROUNDABOUT, 404)


def _check(report: Report, what: str, address: str, paths: list[str], due: int) -> None:
    others = {path: status for path in paths if (status := _status(address, path)) != due}
    report.check(what, str(others) if others else f"{due} for all {len(paths)}", str(due), not others)


def _status(address: str, path: str) -> int:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
