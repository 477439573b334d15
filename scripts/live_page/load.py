"""Sends requests for users at a fixed rate, and prints the answers by status for each second of the machine's monotonic
clock, as JSON. Runs in its own process.

    python3 load.py ADDRESS SECONDS CALLERS SHARED RATE

Each caller has one connection and sends RATE requests a second, or the next one as soon as it has the answer, if that
is later. CALLERS callers have their own names; SHARED others have one common name, and so one common limit.
"""

from __future__ import annotations

import asyncio
import collections
import json
import sys
import time

from bearer import credentials

# The number of answers by status, for each second.
Answers = collections.defaultdict[int, collections.Counter[int]]
# After a refusal, a caller pauses for a moment.
PAUSE = 0.02


def request(address: str, authorization: str, caller: int, number: int) -> bytes:
    """A request: seven look-ups in ten, two pages, and one new user."""
    method, path, body = "GET", f"/api/v2/users/{1 + (caller * 31 + number) % 1000}", ""
    match (caller + number) % 10:
        case 0:
            user = {"name": "Ada Lovelace", "email": f"ada{caller}-{time.time_ns()}@example.com"}
            method, path, body = "POST", "/api/v2/users", json.dumps(user)
        case 1 | 2:
            path = "/api/v2/users"
    head = [f"{method} {path} HTTP/1.1", f"Host: {address}", f"Authorization: {authorization}"]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", body]).encode()


class Connection:
    """A connection, opened again when the service closes it, as it does after it refuses a request whose body it has
    not read."""

    def __init__(self, address: str) -> None:
        self._host, _, self._port = address.rpartition(":")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, what: bytes) -> int:
        """Sends a request, and returns the status of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, int(self._port))
        reader, writer = self._streams
        writer.write(what)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
        if "connection: close" in head:
            self.close()
        return int(head.split(" ", 2)[1])

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def caller(address: str, number: int, name: str, every: float, end: float, answers: Answers) -> None:
    connection = Connection(address)
    authorization = credentials(name)
    due = time.monotonic() + every * (number * 0.618 % 1)  # not all at once
    count = 0
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        status = await connection.ask(request(address, authorization, number, count))
        answers[int(time.monotonic())][status] += 1
        count += 1
        due = max(due + every, time.monotonic() + (PAUSE if status in (429, 503) else 0.0))
    connection.close()


async def main() -> None:
    address, seconds, callers, shared, rate = sys.argv[1:]
    answers: Answers = collections.defaultdict(collections.Counter)
    end = time.monotonic() + float(seconds)
    names = [f"caller {one}" for one in range(int(callers))] + ["shared"] * int(shared)
    every = 1 / float(rate)
    await asyncio.gather(*(caller(address, one, name, every, end, answers) for one, name in enumerate(names)))
    print(json.dumps(answers))


asyncio.run(main())
