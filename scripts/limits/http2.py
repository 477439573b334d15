"""The parts of HTTP/2 that gRPC needs: frames, and heads without compression (RFC 9113, RFC 7541)."""

from __future__ import annotations

import struct

BEGINNING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
ACK = END_STREAM = 1
END_HEADERS = 4
# The index of a header in the connection's table, after it was sent once.
REMEMBERED = 0x80 | 62


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def head(method: str, headers: dict[str, str], more: int = 0) -> bytes:
    """The head of a call, with `more` additional headers of one byte each."""
    every = {":path": f"/{method}", ":method": "POST", ":scheme": "http", ":authority": "localhost", "te": "trailers"}
    every |= {"content-type": "application/grpc"} | headers
    plain = b"".join(b"\0" + _text(name) + _text(value) for name, value in every.items())
    return plain + (b"\x40" + _text("a") + _text("b") + bytes([REMEMBERED]) * more if more else b"")


def call(stream: int, method: str, headers: dict[str, str] | None = None, more: int = 0) -> bytes:
    return frame(HEADERS, END_HEADERS, stream, head(method, headers or {}, more))


def message(stream: int, payload: bytes, flags: int = 0) -> bytes:
    return frame(DATA, flags, stream, b"\0" + struct.pack(">I", len(payload)) + payload)


def _text(text: str) -> bytes:
    """A text with its length, which starts with seven bits of the first byte (RFC 7541, 5.1)."""
    length, octets = len(text), []
    if length < 127:
        return bytes([length]) + text.encode()
    length -= 127
    while length >= 128:
        octets.append(length % 128 | 128)
        length //= 128
    return bytes([127, *octets, length]) + text.encode()
