"""Pages of users, as a client of version 2 walks through them, and what requests are made of them."""

from __future__ import annotations

import contextlib
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

import report
from systems import Server

USERS = "/api/v2/users"
# The longest that the service gives.
_LONGEST = f"{USERS}?page_size=100"


def pages(service: Server, first: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """From the page `first` to the last one: each with its path."""
    path: str | None = first
    with contextlib.closing(service.connection()) as connection:
        while path:
            connection.request("GET", path, headers=service.headers())
            answer = connection.getresponse()
            page = json.loads(answer.read())
            if answer.status != 200:
                report.fail(f"{path} answers {answer.status}: {page}")
            yield path, page
            path = f"{first}&page_token={page['next_page_token']}" if "next_page_token" in page else None


def users_to(service: Server, last: int) -> Iterator[dict[str, Any]]:
    """The users whose id is not beyond this one."""
    for _, page in pages(service, _LONGEST):
        for user in page["users"]:
            if user["id"] > last:
                return
            yield user


def pages_of_ten(service: Server, last: int) -> list[str]:
    """The paths of pages of ten users that begin all over those whose id is not beyond this one."""
    first = f"{USERS}?page_size=10"
    paths = [first]
    for _, page in pages(service, _LONGEST):
        if page["users"][-1]["id"] >= last or "next_page_token" not in page:
            return paths
        # A token names a place, whatever the size of the pages before and after it.
        paths.append(f"{first}&page_token={page['next_page_token']}")
    return paths


def by_email(user: dict[str, Any]) -> str:
    """The path that finds this user by the address."""
    return f"{USERS}?email={urllib.parse.quote(user['email'])}"
