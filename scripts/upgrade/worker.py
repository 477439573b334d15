"""One caller's work: it creates, reads, changes and deletes its own users, and knows the expected answer to each
call."""

from __future__ import annotations

import random
import threading
import time
from typing import Protocol

from known import Change, Unexpected, User

# The number of users from which it deletes some, and the most that it keeps.
FEW, MANY = 3, 15


class Caller(Protocol):
    def create(self, name: str, email: str) -> User: ...
    def get(self, id: int) -> User | None: ...
    def find(self, email: str) -> list[User]: ...
    def update(self, id: int, version: int, name: str) -> User | None: ...
    def delete(self, id: int, version: int) -> bool: ...
    def close(self) -> None: ...


class Worker(threading.Thread):
    """Makes `rate` calls a second until it is stopped. It never repeats a call."""

    def __init__(self, name: str, caller: Caller, rate: float) -> None:
        super().__init__(name=name, daemon=True)
        self.caller = caller
        self._pause = 1 / rate
        self._random = random.Random(name)
        self._stopped = threading.Event()
        self._number = 0
        self._gone: list[int] = []
        self.users: dict[int, User] = {}
        self.changes: list[Change] = []
        self.took: list[tuple[float, float]] = []
        """For each call, how many seconds it took, and when it began by the monotonic clock."""
        self.failures: list[str] = []
        self.due = 0.0
        """The number of calls that were due when it was stopped."""

    def stop(self) -> None:
        """Stops after the answer to the current call."""
        self._stopped.set()
        self.due = (time.monotonic() - self._started_at) / self._pause
        self.join()
        self.caller.close()

    def start(self) -> None:
        self._started_at = time.monotonic()
        super().start()

    def run(self) -> None:
        due = time.monotonic() + self._random.random() * self._pause
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            begun = time.monotonic()
            try:
                self._step(begun)
            except Exception as failure:  # any failure counts: a thread that ended silently would have none
                said = failure if isinstance(failure, Unexpected) else repr(failure)
                self.failures.append(f"{time.strftime('%H:%M:%S')} {self.name}: {said}")
            self.took.append((time.monotonic() - begun, begun))
            due = max(due + self._pause, time.monotonic() - 1)

    # A thread has private methods such as `_delete`; hence these names.
    def _step(self, begun: float) -> None:
        steps = {
            self._create_one: 15,
            self._read_one: 40,
            self._find_one: 10,
            self._update_one: 20,
            self._update_stale: 5,
        }
        if len(self.users) < FEW:
            steps = {self._create_one: 1}
        elif len(self.users) >= MANY:
            steps = {self._delete_one: 1}
        else:
            steps |= {self._delete_one: 10, self._read_deleted: 5 if self._gone else 0}
        [step] = self._random.choices(list(steps), list(steps.values()))
        step(begun)

    def _any(self) -> User:
        return self._random.choice(list(self.users.values()))

    def _create_one(self, begun: float) -> None:
        self._number += 1
        name, email = f"{self.name} {self._number}", f"{self.name}-{self._number}@example.com"
        user = self.caller.create(name, email)
        _expect(user, User(user.id, name, email, 1))
        self.users[user.id] = user
        self._note(user.id, 1, "user.created", begun)

    def _read_one(self, _begun: float) -> None:
        known = self._any()
        _expect(self.caller.get(known.id), known)

    def _find_one(self, _begun: float) -> None:
        known = self._any()
        _expect(self.caller.find(known.email.upper()), [known])

    def _read_deleted(self, _begun: float) -> None:
        _expect(self.caller.get(self._random.choice(self._gone)), None)

    def _update_one(self, begun: float) -> None:
        known = self._any()
        self._number += 1
        wanted = User(known.id, f"{self.name} {self._number}", known.email, known.version + 1)
        updated = self.caller.update(known.id, known.version, wanted.name)
        _expect(updated, wanted)
        self.users[known.id] = wanted
        self._note(known.id, wanted.version, "user.updated", begun)

    def _update_stale(self, _begun: float) -> None:
        known = self._any()
        _expect(self.caller.update(known.id, known.version + 1, "never"), None)

    def _delete_one(self, begun: float) -> None:
        known = self._any()
        _expect(self.caller.delete(known.id, known.version), True)
        del self.users[known.id]
        self._gone.append(known.id)
        self._note(known.id, known.version + 1, "user.deleted", begun)

    def _note(self, user_id: int, version: int, type: str, begun: float) -> None:
        self.changes.append(Change(user_id, version, type, begun))


def _expect(answer: object, due: object) -> None:
    if answer != due:
        raise Unexpected(f"{answer} instead of {due}")
