"""A client of users.v1 that grpcio-tools generated. It calls every method with valid and invalid input.

python grpc_client.py ADDRESS TOKEN TOKEN_THAT_ONLY_READS
"""

import re
import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from grpc import StatusCode
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status
from users.v1 import users_pb2 as pb
from users.v1.users_pb2_grpc import UserServiceStub

SERVICE = "users.v1.UserService"
CREATED, UPDATED, DELETED = pb.EVENT_TYPE_USER_CREATED, pb.EVENT_TYPE_USER_UPDATED, pb.EVENT_TYPE_USER_DELETED
# Longer than any call takes. A call that hangs fails after this time.
PATIENCE = 20


class Caller:
    """Calls methods by their names, with a token."""

    def __init__(self, channel, token=None):
        self.stub = UserServiceStub(channel)
        self.token = token

    def start(self, method, request, timeout=PATIENCE, metadata=()):
        token = [("authorization", f"Bearer {self.token}")] if self.token else []
        return getattr(self.stub, method)(request, timeout=timeout, metadata=[*token, *metadata])

    def __call__(self, method, **fields):
        return self.start(method, getattr(pb, f"{method}Request")(**fields))

    def refused(self, method, code, reason=None, at=(), **fields):
        """Makes a call that must fail with this code and reason. `at` lists the fields that the error must report."""
        try:
            answer = self(method, **fields)
            for _ in answer if hasattr(answer, "cancel") else ():
                pass
        except grpc.RpcError as error:
            check(f"{method} {fields}"[:200], error, code, reason, at)
            return
        raise AssertionError(f"{method} {fields} succeeded")


def check(call, error, code, reason=None, at=()):
    said = f"{call}: {error.code()}: {error.details()}"
    assert error.code() == code, said
    assert error.details(), said
    if reason is None:
        return
    status = rpc_status.from_call(error)
    assert status, f"{said}: no details"
    details = {detail.type_url.rpartition(".")[2]: detail for detail in status.details}
    info, request = unpacked(details["ErrorInfo"], ErrorInfo()), unpacked(details["RequestInfo"], RequestInfo())
    assert (info.reason, info.domain) == (reason, "user-service"), f"{said}: {info}"
    assert request.request_id == request_id(error), f"{said}: {request}"
    bad = unpacked(details["BadRequest"], BadRequest()) if "BadRequest" in details else BadRequest()
    assert sorted(it.field for it in bad.field_violations) == sorted(at), f"{said}: {bad}"
    assert all(it.description for it in bad.field_violations), f"{said}: {bad}"
    if code in (StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED):
        assert unpacked(details["RetryInfo"], RetryInfo()).retry_delay.ToMilliseconds() > 0, said


def unpacked(detail, message):
    assert detail.Unpack(message), detail
    return message


def request_id(call):
    """The request's id. An answer without a message has only trailing metadata."""
    return dict([*call.initial_metadata(), *call.trailing_metadata()])["x-request-id"]


def creates(call):
    ada = call("CreateUser", name=" Ada ", email="ada@example.com").user
    assert (ada.name, ada.email, ada.version, ada.etag) == ("Ada", "ada@example.com", 1, '"1"'), ada
    assert ada.id > 0 and ada.created_at == ada.updated_at and ada.created_at.seconds > 1_700_000_000, ada
    call.refused("CreateUser", StatusCode.ALREADY_EXISTS, "EMAIL_TAKEN", name="Ada", email="ADA@example.com")
    invalid = StatusCode.INVALID_ARGUMENT, "INVALID_USER"
    call.refused("CreateUser", *invalid, ["name", "email"])
    call.refused("CreateUser", *invalid, ["name"], name="x" * 101, email="x@example.com")
    call.refused("CreateUser", *invalid, ["name"], name="\0", email="x@example.com")
    call.refused("CreateUser", *invalid, ["email"], name="x", email=f"{'x' * 254}@example.com")
    return ada


def gets(call, ada):
    assert call("GetUser", id=ada.id).user == ada
    call.refused("GetUser", StatusCode.NOT_FOUND, "USER_NOT_FOUND", id=2**63 - 1)
    for id in [0, -1, -(2**63)]:
        call.refused("GetUser", StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", ["id"], id=id)


def gets_several(call, ada):
    bob = call("CreateUser", name="Bob", email="bob@example.com").user
    assert list(call("BatchGetUsers", ids=[bob.id, 999, ada.id]).users) == [bob, ada]
    assert not call("BatchGetUsers", ids=[]).users
    assert not call("BatchGetUsers", ids=range(901, 1901)).users
    call.refused("BatchGetUsers", StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", ["ids"], ids=range(1, 1002))
    call.refused("BatchGetUsers", StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", ["ids"], ids=[ada.id, 0])
    return bob


def lists(call, ada, bob):
    whole = call("ListUsers", include_total=True)
    assert (list(whole.users), whole.next_page_token, whole.total) == ([ada, bob], "", 2), whole
    first = call("ListUsers", page_size=1)
    assert list(first.users) == [ada] and first.next_page_token and not first.HasField("total"), first
    second = call("ListUsers", page_size=1, page_token=first.next_page_token)
    assert (list(second.users), second.next_page_token) == ([bob], ""), second
    assert len(call("ListUsers", page_size=2**31 - 1).users) == 2
    assert list(call("ListUsers", email="BOB@example.com").users) == [bob]
    assert list(call("ListUsers", name_prefix="ad").users) == [ada]
    assert not call("ListUsers", name_prefix="%").users
    invalid = StatusCode.INVALID_ARGUMENT
    call.refused("ListUsers", invalid, "INVALID_ARGUMENT", ["page_size"], page_size=-1)
    call.refused("ListUsers", invalid, "INVALID_ARGUMENT", ["email"], email="bob")
    call.refused("ListUsers", invalid, "INVALID_ARGUMENT", ["name_prefix"], name_prefix="x" * 101)
    call.refused("ListUsers", invalid, "INVALID_PAGE_TOKEN", ["page_token"], page_token="damaged")
    others = {"page_token": first.next_page_token, "name_prefix": "a"}
    call.refused("ListUsers", invalid, "INVALID_PAGE_TOKEN", ["page_token"], **others)


def updates(call, ada, bob):
    mask = FieldMask(paths=["name"])
    king = call("UpdateUser", id=ada.id, name="Ada King", email="ignored", update_mask=mask, etag=ada.etag).user
    assert (king.name, king.email, king.version, king.etag) == ("Ada King", ada.email, 2, '"2"'), king
    assert call("UpdateUser", id=ada.id, email="king@example.com").user.name == "Ada King"
    star = FieldMask(paths=["*"])
    call("UpdateUser", id=ada.id, name="Ada", email="ada@example.com", update_mask=star, etag="*")
    call.refused("UpdateUser", StatusCode.ABORTED, "VERSION_MISMATCH", id=ada.id, name="x", etag=ada.etag)
    call.refused("UpdateUser", StatusCode.NOT_FOUND, "USER_NOT_FOUND", id=999, name="x")
    call.refused("UpdateUser", StatusCode.ALREADY_EXISTS, "EMAIL_TAKEN", id=ada.id, email=bob.email)
    invalid = StatusCode.INVALID_ARGUMENT
    call.refused("UpdateUser", invalid, "INVALID_ARGUMENT", ["id"], name="x")
    call.refused("UpdateUser", invalid, "INVALID_USER", ["name"], id=ada.id, update_mask=mask)
    call.refused("UpdateUser", invalid, "INVALID_USER", ["name", "email"], id=ada.id, update_mask=star)
    unknown = {"name": "x", "update_mask": FieldMask(paths=["version"])}
    call.refused("UpdateUser", invalid, "INVALID_ARGUMENT", ["update_mask"], id=ada.id, **unknown)
    call.refused("UpdateUser", invalid, "INVALID_ARGUMENT", ["etag"], id=ada.id, name="x", etag="unquoted")


def watches(call, ada):
    live = call("WatchUsers")
    start = next(live)
    assert start.position > 0 and not start.HasField("event"), start
    eve = call("CreateUser", name="Eve", email="eve@example.com").user
    told = next(live)
    assert told.position > start.position and (told.event.type, told.event.user) == (CREATED, eve), told
    assert told.event.id and told.event.time == eve.created_at, told
    assert (told.event.user_id, told.event.version) == (eve.id, 1), told
    live.cancel()

    # Two changes happen while the client is away.
    eve = call("UpdateUser", id=eve.id, name="Eva").user
    call("DeleteUser", id=eve.id, etag=eve.etag)
    back = call("WatchUsers", after=told.position)
    missed = [event for event in (next(back), next(back), next(back)) if event.HasField("event")]
    assert [(it.event.type, it.event.version) for it in missed] == [(UPDATED, 2), (DELETED, 3)], missed
    assert missed[0].event.user == eve and not missed[1].event.HasField("user"), missed
    back.cancel()

    chosen = call("WatchUsers", after=0, types=[DELETED])
    assert not next(chosen).HasField("event")
    assert next(chosen) == missed[1]
    chosen.cancel()
    call.refused("WatchUsers", StatusCode.OUT_OF_RANGE, "EVENTS_GONE", after=10**6)
    call.refused("WatchUsers", StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", ["after"], after=-1)
    for type in [pb.EVENT_TYPE_UNSPECIFIED, 17]:
        call.refused("WatchUsers", StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", ["types"], types=[type])


def deletes(call, ada):
    call.refused("DeleteUser", StatusCode.ABORTED, "VERSION_MISMATCH", id=ada.id, etag=ada.etag)
    assert call("DeleteUser", id=ada.id) == pb.DeleteUserResponse()
    call.refused("DeleteUser", StatusCode.NOT_FOUND, "USER_NOT_FOUND", id=ada.id)
    call.refused("DeleteUser", StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", ["id"])
    call.refused("DeleteUser", StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", ["etag"], id=1, etag="1")


def lets_in_only_who_may(channel, reading):
    requests = {method.name: {} for method in pb.DESCRIPTOR.services_by_name["UserService"].methods}
    for method in requests:
        Caller(channel).refused(method, StatusCode.UNAUTHENTICATED, "UNAUTHORIZED")
        Caller(channel, "damaged").refused(method, StatusCode.UNAUTHENTICATED, "INVALID_TOKEN")
    for method in ["CreateUser", "UpdateUser", "DeleteUser"]:
        reading.refused(method, StatusCode.PERMISSION_DENIED, "INSUFFICIENT_SCOPE")
    assert reading("ListUsers")


def keeps_deadlines(call):
    watch = call.start("WatchUsers", pb.WatchUsersRequest(), timeout=0.5)
    assert next(watch)
    try:
        next(watch)
        raise AssertionError("an event arrived")
    except grpc.RpcError as error:
        check("WatchUsers", error, StatusCode.DEADLINE_EXCEEDED)


def names_requests(call):
    page = pb.ListUsersRequest()
    future = call.stub.ListUsers.future
    token = ("authorization", f"Bearer {call.token}")
    mine = future(page, metadata=[token, ("x-request-id", "from-python")])
    assert mine.result() and request_id(mine) == "from-python"
    own = future(page, metadata=[token])
    assert own.result() and re.fullmatch("[0-9a-f]{32}", request_id(own)), request_id(own)


def knows_no_other_methods(channel):
    for path in [f"/{SERVICE}/DropUsers", "/users.v2.UserService/GetUser", "/nothing"]:
        try:
            channel.unary_unary(path)(b"", timeout=PATIENCE)
            raise AssertionError(path)
        except grpc.RpcError as error:
            check(path, error, StatusCode.UNIMPLEMENTED)


def tells_its_health(channel):
    health = HealthStub(channel)
    for service in ["", SERVICE]:
        request = HealthCheckRequest(service=service)
        assert health.Check(request, timeout=PATIENCE).status == HealthCheckResponse.SERVING
        watch = health.Watch(request, timeout=PATIENCE)
        assert next(watch).status == HealthCheckResponse.SERVING
        watch.cancel()
    try:
        health.Check(HealthCheckRequest(service="nothing"), timeout=PATIENCE)
        raise AssertionError("the service knows a service called nothing")
    except grpc.RpcError as error:
        check("Check", error, StatusCode.NOT_FOUND)


def describes_itself(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    assert {SERVICE, "grpc.health.v1.Health"} <= set(database.get_services())
    described = DescriptorPool(database).FindServiceByName(SERVICE)
    generated = pb.DESCRIPTOR.services_by_name["UserService"]
    for method, ours in zip(described.methods, generated.methods, strict=True):
        assert (method.name, method.server_streaming) == (ours.name, ours.server_streaming)
        for message, our in [(method.input_type, ours.input_type), (method.output_type, ours.output_type)]:
            fields = [[(it.name, it.number, it.type) for it in one.fields] for one in (message, our)]
            assert fields[0] == fields[1], message.full_name


def is_told_of_the_end(call):
    """Watches until the server ends. The reader of this output stops the server."""
    watch = call("WatchUsers")
    assert next(watch)
    print("watching", flush=True)
    try:
        for sign_of_life in watch:
            assert not sign_of_life.HasField("event"), sign_of_life
        raise AssertionError("the stream ends without a status")
    except grpc.RpcError as error:
        check("WatchUsers", error, StatusCode.UNAVAILABLE, "STREAM_OVER")


def main(address, token, token_that_only_reads):
    with grpc.insecure_channel(address) as channel:
        call, reading = Caller(channel, token), Caller(channel, token_that_only_reads)
        ada = creates(call)
        gets(call, ada)
        bob = gets_several(call, ada)
        lists(call, ada, bob)
        updates(call, ada, bob)
        watches(call, ada)
        deletes(call, ada)
        lets_in_only_who_may(channel, reading)
        keeps_deadlines(call)
        names_requests(call)
        knows_no_other_methods(channel)
        tells_its_health(channel)
        describes_itself(channel)
        is_told_of_the_end(call)


main(*sys.argv[1:])
