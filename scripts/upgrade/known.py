"""What callers know about users, and the failures of their requests."""

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
    """An acknowledged change."""

    user_id: int
    version: int
    """The user's version after the change; a deletion counts as one more."""
    type: str
    begun: float
    """When it was requested, by the monotonic clock."""


class Unexpected(Exception):
    """An unexpected answer, or none."""
