"""What callers know of users, and what goes wrong with their requests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class User:
    id: int
    name: str
    email: str
    version: int


@dataclass(frozen=True)
class Change:
    """One that was acknowledged."""

    user_id: int
    version: int
    """The user's after it; that of a deletion is one more than the last."""
    type: str
    begun: float
    """When it was asked for, by the monotonic clock."""


class Unexpected(Exception):
    """An answer other than the one that was due, or none."""
