"""Many readers of the live stream, each on its own connection. Runs in its own process.

    python3 crowd.py URL COUNT

A line on stdout every half second: how many streams are open, how many ended or could not be opened, and how many
events arrived in all.
"""

from __future__ import annotations

import asyncio
import ssl
import sys

from bearer import CREDENTIALS

# How many streams are opened at once.
AT_ONCE = 50
OPEN_TIMEOUT = 20.0


class Crowd:
    def __init__(self, url: str) -> None:
        scheme, self._address = url.split("://")
        # The certificate is not verified, because everything is on this machine.
        self._tls = ssl._create_unverified_context() if scheme == "https" else None
        self._turns = asyncio.Semaphore(AT_ONCE)
        self.open = self.ended = self.events = 0

    async def read(self) -> None:
        try:
            async with self._turns:
                reader, writer = await asyncio.wait_for(self._begin(), OPEN_TIMEOUT)
            self.open += 1
            try:
                while piece := await reader.read(65536):
                    # An event that is split between two chunks is not counted.
                    self.events += piece.count(b"\nevent: ")
            finally:
                self.open -= 1
                writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        self.ended += 1

    async def _begin(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port), ssl=self._tls)
        head = f"GET /api/v2/events HTTP/1.1\r\nHost: {self._address}\r\nAuthorization: {CREDENTIALS}\r\n\r\n"
        writer.write(head.encode())
        status = await reader.readuntil(b"\r\n\r\n")
        if not status.startswith(b"HTTP/1.1 200 "):
            raise OSError(status)
        return reader, writer


async def main(url: str, count: int) -> None:
    crowd = Crowd(url)
    readers = [asyncio.create_task(crowd.read()) for _ in range(count)]
    while True:
        print(crowd.open, crowd.ended, crowd.events, flush=True)
        await asyncio.wait(readers, timeout=0.5)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
