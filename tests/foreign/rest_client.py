"""A client that openapi-python-client generated from /openapi.json. PYTHONPATH must lead to it as `generated`.

python rest_client.py URL TOKEN
"""

import sys
from datetime import UTC, datetime

from generated import AuthenticatedClient, Client
from generated.api.operations import health, ready
from generated.api.version_1 import v1_create_user, v1_list_users
from generated.api.version_2 import (
    v2_create_user,
    v2_delete_user,
    v2_get_user,
    v2_list_users,
    v2_patch_user,
    v2_stream_events,
    v2_update_user,
)
from generated.models import Problem, UserBody, UserPage, UserPatch, V1User, V2User
from generated.types import UNSET


def problem(response, status, code):
    found = response.parsed
    assert isinstance(found, Problem), response
    assert (response.status_code, found.status, found.code) == (status, status, code), response
    assert found.detail and found.title and found.type_ == f"urn:user-service:problem:{code}", found
    return found


def version_2(client):
    body = UserBody(name="Ada", email="ada@example.com")
    created = v2_create_user.sync_detailed(client=client, body=body)
    ada = created.parsed
    assert isinstance(ada, V2User) and created.status_code == 201, created
    assert (ada.name, ada.email, ada.version) == ("Ada", "ada@example.com", 1), ada
    assert ada.created_at.tzinfo == UTC and ada.created_at == ada.updated_at <= datetime.now(UTC), ada
    assert created.headers["location"] == f"/api/v2/users/{ada.id}", created

    read = v2_get_user.sync_detailed(ada.id, client=client)
    assert read.parsed == ada, read
    etag = read.headers["etag"]
    same = v2_get_user.sync_detailed(ada.id, client=client, if_none_match=etag)
    assert (same.status_code, same.content) == (304, b""), same

    invalid = v2_create_user.sync_detailed(client=client, body=UserBody(name="", email="ada"))
    fields = problem(invalid, 422, "invalid_user").errors
    assert {field.pointer for field in fields} == {"/name", "/email"}, fields
    problem(v2_create_user.sync_detailed(client=client, body=body), 409, "email_taken")
    problem(v2_get_user.sync_detailed(999, client=client), 404, "user_not_found")

    king = UserPatch(name="Ada King")
    patched = v2_patch_user.sync_detailed(ada.id, client=client, body=king, if_match=etag).parsed
    assert isinstance(patched, V2User) and (patched.name, patched.version) == ("Ada King", 2), patched
    problem(v2_patch_user.sync_detailed(ada.id, client=client, body=king, if_match=etag), 412, "version_mismatch")
    replaced = v2_update_user.sync_detailed(ada.id, client=client, body=body).parsed
    assert isinstance(replaced, V2User) and (replaced.name, replaced.version) == ("Ada", 3), replaced

    v2_create_user.sync(client=client, body=UserBody(name="Bob", email="bob@example.com"))
    first = v2_list_users.sync(client=client, page_size=1, include_total=True)
    assert isinstance(first, UserPage) and (first.users, first.total) == ([replaced], 2), first
    second = v2_list_users.sync(client=client, page_size=1, page_token=first.next_page_token)
    assert [user.name for user in second.users] == ["Bob"], second
    assert (second.next_page_token, second.total) == (UNSET, UNSET), second
    problem(v2_list_users.sync_detailed(client=client, page_token="damaged"), 400, "invalid_page_token")
    problem(v2_stream_events.sync_detailed(client=client, last_event_id=10**6), 410, "events_gone")

    deleted = v2_delete_user.sync_detailed(ada.id, client=client)
    assert (deleted.status_code, deleted.content) == (204, b""), deleted


def version_1(client):
    created = v1_create_user.sync(client=client, body=UserBody(name="Cy", email="cy@example.com"))
    assert isinstance(created, V1User) and created.name == "Cy", created
    assert v1_list_users.sync(client=client, page=2, limit=1) == [created]


def main(url, token):
    with AuthenticatedClient(base_url=url, token=token) as client:
        version_2(client)
        version_1(client)
    with Client(base_url=url) as anonymous:
        problem(v2_list_users.sync_detailed(client=anonymous), 401, "unauthorized")
        assert health.sync(client=anonymous).status == "healthy"
        assert ready.sync(client=anonymous).ready


main(*sys.argv[1:])
