"""The load: wrk for HTTP, and pgbench for PostgreSQL itself."""

import json
import os
import pathlib
import re
import secrets
import subprocess

import machine
import report
from processes import run
from words import PGBENCH

_SCRIPT = pathlib.Path(__file__).with_name("wrk.lua")


class Wrk:
    """One thread of wrk that sends GET of random paths or, without paths, POST of new users."""

    most_connections = 1000

    def __init__(self, processes, server, paths=None, name=None):
        self.name = name or server.name
        self._url = f"http://127.0.0.1:{server.port}"
        self._token = server.token
        if paths is None:
            self._environment = {"CREATE": server.users}
        else:
            file = processes.folder / f"paths-{secrets.token_hex(8)}"
            file.write_text("\n".join(paths))
            self._environment = {"PATHS": str(file)}

    def measure(self, connections, seconds):
        command = [
            "wrk",
            "--threads",
            1,
            "--connections",
            connections,
            "--duration",
            f"{seconds}s",
            "--timeout",
            "10s",
            "--script",
            _SCRIPT,
        ]
        if self._token:
            command += ["--header", f"Authorization: Bearer {self._token}"]
        # No address repeats, not even in the next round.
        environment = {**os.environ, **self._environment, "SEED": secrets.token_hex(8)}
        output = run([*command, self._url], seconds + 30, env=environment)
        found = json.loads(output.splitlines()[-1])
        if found["refused"] or found["broken"] or not found["requests"]:
            report.fail(f"{self.name} did not answer everything: {found}")
        return {
            "rate": found["requests"] / found["microseconds"] * 1e6,
            "p50_ms": found["p50_us"] / 1000,
            "p99_ms": found["p99_us"] / 1000,
        }


class Pgbench:
    """The same work without HTTP: one prepared statement for each round trip, as fast as PostgreSQL answers. It reports
    no p99."""

    # The server accepts 200 connections.
    most_connections = 128
    INSERT = r"""\set n random(1, 1000000000000000)
INSERT INTO peer_users (name, email) VALUES ('Grace Hopper', 'pgbench' || :n || '@example.com')
RETURNING id, name, email;
"""

    def __init__(self, processes, postgres, script=None):
        self.name = PGBENCH
        self._program = pathlib.Path(postgres.programs) / "pgbench"
        self._url = postgres.url
        self._work = ["--select-only"]
        if script:
            file = processes.folder / "pgbench.sql"
            file.write_text(script)
            self._work = ["--file", file]

    def prepare(self):
        """Creates pgbench's 100,000 accounts."""
        run([self._program, "--initialize", "--quiet", self._url], seconds=120, stderr=subprocess.STDOUT)

    def exists(self):
        return self._program.exists()

    def measure(self, connections, seconds):
        command = [
            self._program,
            "--no-vacuum",
            "--protocol=prepared",
            f"--client={connections}",
            f"--jobs={min(connections, machine.cores())}",
            f"--time={seconds}",
        ]
        output = run([*command, *self._work, self._url], seconds + 30)
        return {"rate": float(re.search(r"tps = ([\d.]+)", output).group(1)), "p50_ms": None, "p99_ms": None}
