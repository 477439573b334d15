"""Readers of the live stream over REST and gRPC, which resume from their last offset whenever a stream ends."""

from __future__ import annotations

import collections
import contextlib
import http.client
import json
import socket
import threading
from dataclasses import dataclass
from typing import Any

import grpc
from users.v1 import users_pb2 as pb
from users.v1.users_pb2_grpc import UserServiceStub

import grpc_calls
from bearer import CREDENTIALS

# A stream has a heartbeat every 15 s.
SILENCE = 40.0
# The pause before another attempt to open a stream.
PAUSE = 0.5
TYPES = {
    pb.EVENT_TYPE_USER_CREATED: "user.created",
    pb.EVENT_TYPE_USER_UPDATED: "user.updated",
    pb.EVENT_TYPE_USER_DELETED: "user.deleted",
}


@dataclass(frozen=True)
class Told:
    id: str
    """The event's id, the same everywhere."""
    user_id: int
    version: int
    type: str


def told(event: Any) -> Told:
    """A CloudEvent, from its JSON."""
    return Told(event["id"], int(event["subject"]), int(event["sequence"]), event["type"])


class Reader(threading.Thread):
    """Reads until it is stopped."""

    def __init__(self, name: str, address: str) -> None:
        super().__init__(name=name, daemon=True)
        self.address = address
        self.events: list[Told] = []
        self.position: int | None = None
        self.positions: list[int] = []
        """The offsets of the events."""
        self.ends: collections.Counter[str] = collections.Counter()
        """The numbers of streams by how they ended."""
        self.stopped = threading.Event()
        self.began = threading.Event()

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                self.ends[self.read()] += 1
            except (OSError, http.client.HTTPException, grpc.RpcError, ValueError) as error:
                if not self.stopped.is_set():
                    self.ends[f"cut off: {error!r}"] += 1
            self.stopped.wait(PAUSE)

    def stop(self) -> None:
        self.stopped.set()
        with contextlib.suppress(OSError):
            self.hang_up()
        self.join(SILENCE)

    def read(self) -> str:
        """Reads a stream to its end, and returns how it ended."""
        raise NotImplementedError

    def hang_up(self) -> None:
        raise NotImplementedError

    def _take(self, position: int, event: Told) -> None:
        self.positions.append(position)
        self.events.append(event)


class SseReader(Reader):
    _connection: http.client.HTTPConnection | None = None

    def read(self) -> str:
        self._connection = http.client.HTTPConnection(self.address, timeout=SILENCE)
        headers = {"Authorization": CREDENTIALS}
        if self.position is not None:
            headers["Last-Event-ID"] = str(self.position)
        self._connection.request("GET", "/api/v2/events", headers=headers)
        response = self._connection.getresponse()
        if response.status != 200:
            return f"refused: {response.status} {response.read()[:200]!r}"
        pause = self._follow(response)
        self._connection.close()
        # The pause that the stream asks for, so that not all clients reconnect at once.
        self.stopped.wait(pause)
        return "ended"

    def _follow(self, response: http.client.HTTPResponse) -> float:
        pause, event = 0.0, None
        for line in response:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "retry":
                pause = int(value) / 1000
            elif field == "id":
                self.position = int(value)
                self.began.set()
            elif field == "data":
                event = told(json.loads(value))
            elif not field and event:
                self._take(self.position, event)
                event = None
        return pause

    def hang_up(self) -> None:
        if self._connection and self._connection.sock:
            self._connection.sock.shutdown(socket.SHUT_RDWR)


class WatchReader(Reader):
    _stream: Any = None

    def read(self) -> str:
        channel = grpc_calls.channel(self.address)
        try:
            request = pb.WatchUsersRequest(after=self.position)
            self._stream = UserServiceStub(channel).WatchUsers(request, metadata=grpc_calls.METADATA)
            for answer in self._stream:
                if answer.HasField("event"):
                    it = answer.event
                    self._take(answer.position, Told(it.id, it.user_id, it.version, TYPES[it.type]))
                self.position = answer.position
                self.began.set()
            return "ended by OK"
        except grpc.RpcError as error:
            # A status from the service has the request's id; one from the library after a cut does not.
            said = {key for key, _ in [*error.initial_metadata(), *error.trailing_metadata()]}
            if error.code() == grpc.StatusCode.UNAVAILABLE and "x-request-id" in said:
                return "ended"
            raise
        finally:
            channel.close()

    def hang_up(self) -> None:
        if self._stream:
            self._stream.cancel()


def wait_until_begun(readers: list[Reader]) -> None:
    for reader in readers:
        if not reader.began.wait(SILENCE):
            raise RuntimeError(f"{reader.name} was told nothing: {reader.ends}")
