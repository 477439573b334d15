"""The same calls over gRPC, on one channel."""

from __future__ import annotations

from typing import Any

import grpc
from users.v1 import users_pb2 as pb
from users.v1.users_pb2_grpc import UserServiceStub

from bearer import CREDENTIALS
from known import Unexpected, User

TIMEOUT = 10.0
METADATA = [("authorization", CREDENTIALS)]
# A failed call must be visible, so the library must not retry it.
OPTIONS = [("grpc.enable_retries", 0)]


def channel(address: str) -> grpc.Channel:
    # Without its own pool, a channel may share its connection with all others of the process.
    return grpc.insecure_channel(address, [*OPTIONS, ("grpc.use_local_subchannel_pool", 1)])


class Grpc:
    def __init__(self, address: str) -> None:
        self._channel = channel(address)
        self._stub = UserServiceStub(self._channel)

    def create(self, name: str, email: str) -> User:
        return _user(self._call("CreateUser", name=name, email=email).user)

    def get(self, id: int) -> User | None:
        answer = self._call("GetUser", grpc.StatusCode.NOT_FOUND, id=id)
        return answer and _user(answer.user)

    def find(self, email: str) -> list[User]:
        return [_user(one) for one in self._call("ListUsers", email=email).users]

    def update(self, id: int, version: int, name: str) -> User | None:
        answer = self._call("UpdateUser", grpc.StatusCode.ABORTED, id=id, name=name, etag=f'"{version}"')
        return answer and _user(answer.user)

    def delete(self, id: int, version: int) -> bool:
        return self._call("DeleteUser", grpc.StatusCode.ABORTED, id=id, etag=f'"{version}"') is not None

    def _call(self, method: str, *expected: grpc.StatusCode, **fields: Any) -> Any:
        """The answer, or None for one of the expected statuses."""
        request = getattr(pb, f"{method}Request")(**fields)
        try:
            return getattr(self._stub, method)(request, timeout=TIMEOUT, metadata=METADATA)
        except grpc.RpcError as error:
            if error.code() in expected:
                return None
            raise Unexpected(f"{method}: {error.code()} {error.details()}") from error

    def close(self) -> None:
        self._channel.close()


def _user(answer: pb.User) -> User:
    return User(answer.id, answer.name, answer.email, answer.version)
