"""What wrk is told to send: the environment of wrk.lua, which explains the names."""

from __future__ import annotations

import secrets
from pathlib import Path

Work = dict[str, str]


# Of how many users `crud` reads and changes any.
CRUD_USERS = 50_000


def requests(folder: Path, paths: list[str]) -> Work:
    """GET of any of the paths."""
    file = folder / f"paths-{secrets.token_hex(8)}"
    file.write_text("\n".join(paths))
    return {"PATHS": str(file)}


def reads(path: str, users: int) -> Work:
    """GET of any of the users 1 to `users`."""
    return {"READ": path, "USERS": str(users)}


def updates(path: str, users: int) -> Work:
    """PATCH of the name of any of the users 1 to `users`."""
    return {"UPDATE": path, "USERS": str(users)}


def creates(path: str) -> Work:
    """POST of new users."""
    return {"CREATE": path}


def crud(path: str, pages: Work) -> Work:
    """Everything that an application does with users, mostly reads."""
    every = reads(path, CRUD_USERS) | updates(path, CRUD_USERS) | creates(path) | pages
    return every | {"MIX": "READ 75 UPDATE 15 PATHS 5 CREATE 5"}
