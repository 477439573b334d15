"""A client with a token that calls over gRPC again and again on one connection. Runs in its own process.

    python3 bystander.py HOST:PORT

A line on stdout for each call: when it began (seconds of the monotonic clock), how many seconds it took, and whether a
user was returned.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

import http2
from bearer import CREDENTIALS

METHOD = "users.v1.UserService/GetUser"
# The request for user 1.
ASKED = b"\x08\x01"
EVERY = 0.1
TIMEOUT = 10.0


class Connection:
    def __init__(self, address: str) -> None:
        host, port = address.split(":")
        self._socket = socket.create_connection((host, int(port)), TIMEOUT)
        self._socket.sendall(http2.BEGINNING)
        self._stream = -1

    def get_user(self) -> bool:
        """Returns whether the answer had a message, which is the user. A refusal has none."""
        self._stream += 2
        call = http2.call(self._stream, METHOD, {"authorization": CREDENTIALS})
        self._socket.sendall(call + http2.message(self._stream, ASKED, http2.END_STREAM))
        has_message = False
        while True:
            kind, flags, stream, payload = self._frame()
            if kind in (http2.SETTINGS, http2.PING) and not flags & http2.ACK:
                answer = payload if kind == http2.PING else b""
                self._socket.sendall(http2.frame(kind, http2.ACK, 0, answer))
            if stream == self._stream:
                has_message |= kind == http2.DATA and len(payload) > 5
                if kind in (http2.DATA, http2.HEADERS) and flags & http2.END_STREAM:
                    return has_message

    def _frame(self) -> tuple[int, int, int, bytes]:
        head = self._read(9)
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        return kind, flags, stream, self._read(int.from_bytes(head[:3], "big"))

    def _read(self, length: int) -> bytes:
        read = b""
        while len(read) < length:
            piece = self._socket.recv(length - len(read))
            if not piece:
                raise ConnectionError("the service hung up")
            read += piece
        return read


def main(address: str) -> None:
    connection = None
    while True:
        begin = time.monotonic()
        try:
            connection = connection or Connection(address)
            is_answered = connection.get_user()
        except OSError:
            connection, is_answered = None, False
        took = time.monotonic() - begin
        print(f"{begin:.6f} {took:.6f} {int(is_answered)}", flush=True)
        time.sleep(max(0.0, EVERY - took))


if __name__ == "__main__":
    main(sys.argv[1])
