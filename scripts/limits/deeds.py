"""How unauthenticated clients misuse a connection: it costs them little, and must not cost the service much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import http2

WATCH = "grpc.health.v1.Health/Watch"
CHECK = "grpc.health.v1.Health/Check"
REFLECTION = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
GET_USER = "users.v1.UserService/GetUser"
# The request that lists the services.
LIST = b"\x3a\0"
# The default number of concurrent calls on a connection.
STREAMS = 128


@dataclass
class Deed:
    opening: bytes
    """The bytes that a connection sends first."""
    more: bytes = b""
    """The bytes that it sends once a second after that."""
    reads: bool = True


def _calls(count: int, call: Callable[[int], bytes]) -> bytes:
    return http2.BEGINNING + b"".join(call(number) for number in range(1, 2 * count, 2))


def _half(number: int) -> bytes:
    return http2.call(number, CHECK) + http2.frame(http2.DATA, 0, number, b"\0\0\0\x0f\0" + b" " * 2000)


def _mixed(number: int) -> bytes:
    method, said = ((WATCH, b""), (REFLECTION, LIST), (GET_USER, b""))[number // 2 % 3]
    return http2.call(number, method) + http2.message(number, said)


GRPC = {
    "idle": Deed(_calls(STREAMS, lambda number: http2.call(number, REFLECTION) + http2.message(number, LIST))),
    "watching": Deed(_calls(STREAMS, lambda number: http2.call(number, WATCH) + http2.message(number, b""))),
    "slow": Deed(_calls(STREAMS, _half), http2.frame(http2.DATA, 0, 1, b" ")),
    "with large heads": Deed(_calls(STREAMS, lambda number: http2.call(number, CHECK, more=460))),
    "not reading": Deed(_calls(4 * STREAMS, _mixed), reads=False),
}

_ASK = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n"
REST = {
    "idle": Deed(_ASK % b"health" + b"\r\n"),
    "slow": Deed(_ASK % b"health" + b"x-slow: ", b"a"),
    "with large heads": Deed(_ASK % b"health" + b"".join(b"x-%d: a\r\n" % number for number in range(90)), b"x-more: "),
    "asking ahead": Deed((_ASK % b"health" + b"\r\n") * 2000, reads=False),
    "not reading": Deed((_ASK % b"openapi.json" + b"\r\n") * 200, reads=False),
}

PROTOCOLS = {"gRPC": GRPC, "REST": REST}
