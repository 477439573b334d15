"""Many connections of a malicious client without a token. Runs in its own process.

    python3 stranger.py HOST:PORT COUNT PROTOCOL DEED

The client replaces each connection that it loses. A line on stdout every half second: how many are open, and how many
were lost.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time

from deeds import PROTOCOLS, Deed

TELL_EVERY = 0.5
SAY_EVERY = 1.0
# The most connections to open in one turn, so that open connections get their turn, too.
OPEN_AT_ONCE = 100
SMALL_BUFFER = 2048


class Stranger:
    def __init__(self, address: str, count: int, deed: Deed) -> None:
        host, port = address.split(":")
        self._address, self._count, self._deed = (host, int(port)), count, deed
        self._poll = select.epoll()
        self._open: dict[int, socket.socket] = {}
        # Views, so that connections share one copy of unsent bytes.
        self._unsent: dict[int, memoryview] = {}
        self._lost = 0

    def go_on(self) -> None:
        tell = say = 0.0
        while True:
            for _ in range(min(OPEN_AT_ONCE, self._count - len(self._open))):
                self._begin()
            for number, events in self._poll.poll(0.05):
                self._happened(number, events)
            now = time.monotonic()
            if now >= say and self._deed.more:
                say = now + SAY_EVERY
                for number in list(self._open):
                    self._send(number, memoryview(self._deed.more))
            if now >= tell:
                tell = now + TELL_EVERY
                print(len(self._open), self._lost, flush=True)

    def _begin(self) -> None:
        connection = socket.socket()
        if not self._deed.reads:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            connection.connect(self._address)
        number = connection.fileno()
        self._open[number], self._unsent[number] = connection, memoryview(self._deed.opening)
        self._poll.register(number, select.EPOLLOUT | select.EPOLLRDHUP)

    def _happened(self, number: int, events: int) -> None:
        if events & (select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR):
            self._lose(number)
            return
        if events & select.EPOLLIN and not self._read(number):
            self._lose(number)
            return
        if events & select.EPOLLOUT:
            self._send(number, memoryview(b""))

    def _read(self, number: int) -> bool:
        try:
            return self._open[number].recv(65536) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def _send(self, number: int, more: memoryview) -> None:
        if number not in self._open:
            return
        # Unsent bytes come first. Of what follows meanwhile, only as much as fits is sent.
        whole = self._unsent[number] if self._unsent[number].nbytes else more
        try:
            sent = self._open[number].send(whole) if whole.nbytes else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose(number)
            return
        self._unsent[number] = whole[sent:]
        wants = select.EPOLLRDHUP | (select.EPOLLIN if self._deed.reads else 0)
        self._poll.modify(number, wants | (select.EPOLLOUT if self._unsent[number].nbytes else 0))

    def _lose(self, number: int) -> None:
        self._poll.unregister(number)
        self._open.pop(number).close()
        self._unsent.pop(number)
        self._lost += 1


if __name__ == "__main__":
    Stranger(sys.argv[1], int(sys.argv[2]), PROTOCOLS[sys.argv[3]][sys.argv[4]]).go_on()
