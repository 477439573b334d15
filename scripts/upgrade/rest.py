"""Calls over REST, on one persistent connection."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import quote

from bearer import CREDENTIALS
from known import Unexpected, User

USERS = "/api/v2/users"
TIMEOUT = 10.0


class Rest:
    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
        self.connections = 0

    def create(self, name: str, email: str) -> User:
        return _user(self.ask("POST", USERS, (201,), {"name": name, "email": email})[1])

    def get(self, id: int) -> User | None:
        """The user, or None if it does not exist."""
        status, answer = self.ask("GET", f"{USERS}/{id}", (200, 404))
        return _user(answer) if status == 200 else None

    def find(self, email: str) -> list[User]:
        return [_user(one) for one in self.ask("GET", f"{USERS}?email={quote(email)}", (200,))[1]["users"]]

    def update(self, id: int, version: int, name: str) -> User | None:
        """The updated user, or None if it has another version."""
        body = {"name": name}
        status, answer = self.ask("PATCH", f"{USERS}/{id}", (200, 412), body, {"If-Match": f'"{version}"'})
        return _user(answer) if status == 200 else None

    def delete(self, id: int, version: int) -> bool:
        """Deletes the user. Returns False if it has another version."""
        return self.ask("DELETE", f"{USERS}/{id}", (204, 412), None, {"If-Match": f'"{version}"'})[0] == 204

    def everyone(self) -> list[User]:
        """All users, read page by page."""
        users: list[User] = []
        token = ""
        while True:
            page = self.ask("GET", f"{USERS}?page_size=100{token}", (200,))[1]
            users += [_user(one) for one in page["users"]]
            if "next_page_token" not in page:
                return users
            token = f"&page_token={page['next_page_token']}"

    def ask(
        self, method: str, path: str, expected: tuple[int, ...], body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Sends a request once, and returns the status and the body of the answer."""
        head = {"Authorization": CREDENTIALS, **(headers or {})}
        if body is not None:
            head["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            self.connections += self._connection.sock is None
            self._connection.request(method, path, None if body is None else json.dumps(body), head)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()  # the next request opens it again
            raise Unexpected(f"{method} {path}: {error!r}") from error
        if response.status not in expected:
            raise Unexpected(f"{method} {path}: {response.status} {content[:200]!r}")
        return response.status, json.loads(content) if content else None

    def close(self) -> None:
        self._connection.close()


def _user(answer: Any) -> User:
    return User(answer["id"], answer["name"], answer["email"], answer["version"])
