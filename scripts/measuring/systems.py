"""Builds and starts what is measured: PostgreSQL, user-service, and its peers."""

import base64
import dataclasses
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import secrets
import sqlite3
import subprocess
import time

import report
from processes import free_port, run, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = {"postgres": ["pg_pipelined", "diesel_block", "axum_sqlx"], "sqlite": ["diesel_sqlite"]}
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
SERVICE = TARGET / "dist" / "user-service"
_SECRET = secrets.token_hex(32)


@dataclasses.dataclass
class Server:
    name: str
    port: int
    users: str
    process: subprocess.Popen
    token: str | None = None

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def headers(self):
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def ask(self, path, body=None):
        """The status and the body of one answer, or no status when there is none."""
        headers = self.headers()
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body).encode()
        connection = self.connection()
        try:
            connection.request("GET" if body is None else "POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return None, b""
        finally:
            connection.close()

    def peak_memory(self):
        """The most that the process ever held in memory, in bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024


class Postgres:
    """A private server, as durable as PostgreSQL is by default, with room enough not to be the first to give up."""

    def __init__(self, processes):
        self.programs = postgres_programs()
        port = free_port()
        self._server = f"postgres://postgres@127.0.0.1:{port}"
        self.url = f"{self._server}/postgres"
        options = {**os.environ, "POSTGRES_OPTIONS": "-c shared_buffers=512MB -c max_wal_size=4GB"}
        command = [ROOT / "scripts/postgres", processes.folder / "postgres", str(port)]
        self.process = processes.start(command, options)
        ready = [f"{self.programs}/pg_isready", "-q", "-d", self.url]
        wait_until(lambda: subprocess.run(ready, timeout=10).returncode == 0, self.process)

    def create_database(self, name):
        """Makes an empty database beside the first, and returns its address."""
        self.execute(f'CREATE DATABASE "{name}"')
        return f"{self._server}/{name}"

    def execute(self, sql, url=None):
        run([f"{self.programs}/psql", "--quiet", "--no-psqlrc", "--command", sql, url or self.url], seconds=300)


def postgres_programs():
    return run([ROOT / "scripts/postgres", "--programs"], seconds=10).strip()


def build(with_peers):
    report.step("cargo build --profile dist")
    build = ["cargo", "build", "--locked", "--quiet", "--target-dir", TARGET]
    run([*build, "--profile", "dist", "--bin", "user-service"], seconds=1200, cwd=ROOT)
    if with_peers:
        # Their own profile is as optimised.
        run([*build, "--release", "--manifest-path", ROOT / "benches/peers/Cargo.toml"], seconds=1200, cwd=ROOT)


def binary_size():
    return SERVICE.stat().st_size


def seed(processes, url, users, program=SERVICE):
    # Ten minutes, and more where a machine's disk needs it for millions.
    seconds = 600 + users // 2_000
    run([program, "seed", "--count", users], seconds, cwd=processes.folder, env=_environment(url, 0))


def start_service(processes, url, settings=None, program=SERVICE, name="user-service"):
    """Starts the service as it ships: its defaults, but for the ports and what `settings` says."""
    port = free_port()
    process = processes.start([program], _environment(url, port) | (settings or {}))
    return Server(name, port, "/api/v1/users", process, _token())


def check_settings(program, settings):
    """A program takes no notice of a variable that it does not know, and would be measured without it."""
    environment = _environment("sqlite://users.db", 0) | settings
    # Not here, where there may be an .env.
    effective = run([program, "check-config"], seconds=10, cwd=program.parent, env=environment)
    unknown = settings.keys() - {line.split("=")[0] for line in effective.splitlines()}
    if unknown:
        report.fail(f"the program under test knows no {' and no '.join(sorted(unknown))}")


def wait_until_ready(service):
    wait_until(lambda: service.ask("/ready")[0] == 200, service.process)


def start_peer(processes, name, url):
    port = free_port()
    process = processes.start([TARGET / "release" / name], {"DATABASE_URL": url, "SERVER_PORT": str(port)})
    peer = Server(name, port, "/users", process)
    wait_until(lambda: peer.ask("/")[0] == 404, process)
    return peer


def fill_peers(store, users):
    """Makes the peers' table. It has two indexes; the service's has three, and five columns more."""
    columns = "name TEXT NOT NULL, email TEXT NOT NULL UNIQUE"
    if isinstance(store, Postgres):
        store.execute(f"CREATE TABLE peer_users (id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, {columns})")
        store.execute(
            "INSERT INTO peer_users (name, email) SELECT 'Ada Lovelace', 'ada' || i || '@example.com' "
            f"FROM generate_series(1, {users}) i"
        )
        store.execute("VACUUM ANALYZE")
        return
    connection = sqlite3.connect(store)
    connection.execute("PRAGMA journal_mode = WAL")
    with connection:
        connection.execute(f"CREATE TABLE peer_users (id INTEGER PRIMARY KEY, {columns})")
        rows = (("Ada Lovelace", f"ada{i}@example.com") for i in range(1, users + 1))
        connection.executemany("INSERT INTO peer_users (name, email) VALUES (?, ?)", rows)
    connection.close()


def _environment(url, port):
    """Nothing of the caller's environment, which may hold settings of the service."""
    # The token's key and the gRPC port are for a service that has these things; one that has not takes no notice.
    return {"DATABASE_URL": url, "SERVER_PORT": str(port), "JWT_SECRET": _SECRET, "GRPC_PORT": str(free_port())}


def _token():
    now = int(time.time())
    claims = {"sub": "measure", "iat": now, "exp": now + 86400, "scope": "users:read users:write"}
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signed = b".".join(map(_base64url, parts))
    return (signed + b"." + _base64url(hmac.new(_SECRET.encode(), signed, hashlib.sha256).digest())).decode()


def _base64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
