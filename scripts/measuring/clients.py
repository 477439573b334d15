"""The load: wrk for whatever speaks HTTP, pgbench for PostgreSQL itself."""

import json
import os
import pathlib
import re
import secrets
import subprocess

import machine
import report
from cpu import Meter
from processes import run
from words import PGBENCH

_SCRIPT = pathlib.Path(__file__).with_name("wrk.lua")


class Wrk:
    """One thread of wrk that sends its work to a server, and counts the CPU time that it costs there.

    `postgres` is given where the server asks one for what is sent; it must serve nobody else meanwhile.
    """

    most_connections = 1000

    def __init__(self, server, work, postgres=None, name=None):
        self.name = name or server.name
        self._server = server
        self._work = work
        self._postmaster = postgres and postgres.process.pid

    def measure(self, connections, seconds):
        meter = Meter(self._server.process.pid, self._postmaster)
        found = self._run(connections, seconds, {})
        return {
            "rate": found["requests"] / found["microseconds"] * 1e6,
            "p50_ms": found["p50_us"] / 1000,
            "p99_ms": found["p99_us"] / 1000,
            **meter.per_request(found["requests"]),
        }

    def send(self, count, connections, seconds, *, in_order):
        """Sends at least so many requests, in rounds of so many seconds; in order, each of its requests in turn."""
        done = 0
        while done < count:
            found = self._run(connections, seconds, {"WALK": str(done)} if in_order else {})
            # As many may have been sent without an answer when the round ended: the next one sends them again.
            done += max(1, found["requests"] - connections)

    def _run(self, connections, seconds, more):
        command = ["wrk", "--threads", 1, "--connections", connections, "--duration", f"{seconds}s"]
        command += ["--timeout", "10s", "--script", _SCRIPT]
        if self._server.token:
            command += ["--header", f"Authorization: Bearer {self._server.token}"]
        # Nothing of the caller's environment, which may hold one of the names. No address twice, not even in the next
        # round.
        environment = {"PATH": os.environ["PATH"], **self._work, **more, "SEED": secrets.token_hex(8)}
        output = run([*command, f"http://127.0.0.1:{self._server.port}"], seconds + 30, env=environment)
        found = json.loads(output.splitlines()[-1])
        if found["refused"] or found["broken"] or not found["requests"]:
            report.fail(f"{self.name} did not answer everything: {found}")
        return found


class Pgbench:
    """The same work without HTTP: a statement a round trip, prepared, as fast as PostgreSQL answers. Tells no p99."""

    # The server takes 200.
    most_connections = 128
    INSERT = r"""\set n random(1, 1000000000000000)
INSERT INTO peer_users (name, email) VALUES ('Grace Hopper', 'pgbench' || :n || '@example.com')
RETURNING id, name, email;
"""

    def __init__(self, processes, postgres, script=None):
        self.name = PGBENCH
        self._program = pathlib.Path(postgres.programs) / "pgbench"
        self._url = postgres.url
        self._postmaster = postgres.process.pid
        self._work = ["--select-only"]
        if script:
            file = processes.folder / "pgbench.sql"
            file.write_text(script)
            self._work = ["--file", file]

    def prepare(self):
        """Makes its accounts, 100,000 of them."""
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
        meter = Meter(None, self._postmaster)
        output = run([*command, *self._work, self._url], seconds + 30)
        found = re.search(r"actually processed: (\d+).*tps = ([\d.]+)", output, re.DOTALL)
        if not found:
            report.fail(f"{self.name} did nothing within {seconds} s:\n{output}")
        done, rate = int(found.group(1)), float(found.group(2))
        return {"rate": rate, "p50_ms": None, "p99_ms": None, **meter.per_request(done)}
