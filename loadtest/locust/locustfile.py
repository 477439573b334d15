"""The crud mix for Locust: 75% reads of one user, 15% updates, 5% pages, 5% creates.

    TOKEN=$(user-service token --subject locust --scope 'users:read users:write') \\
        locust --locustfile loadtest/locust/locustfile.py --host http://127.0.0.1:3000 \\
        --headless --users 50 --spawn-rate 50 --run-time 30s

USERS says how many users are made first (default 50,000). Locust is a closed loop: each of its users sends its next
request when it has an answer, so a service that stalls is asked less, and its stall hardly shows in the percentiles.
"""

from __future__ import annotations

import os
import random
import time
from itertools import count

import requests
from gevent.pool import Pool
from locust import FastHttpUser, constant, events, task

HEADERS = {"Authorization": f"Bearer {os.environ.get('TOKEN', '')}"}
RUN = f"locust {int(time.time() * 1000):x}"
AT_ONCE = 32
NUMBERS = count()
IDS: list[int] = []


def body(number: object, word: object) -> dict[str, str]:
    return {"name": f"{RUN} {word}", "email": f"{RUN.replace(' ', '-')}-{number}@example.com"}


def session() -> requests.Session:
    """Its requests are not in the results."""
    session = requests.Session()
    session.mount("http", requests.adapters.HTTPAdapter(pool_maxsize=AT_ONCE))
    session.headers.update(HEADERS)
    return session


@events.test_start.add_listener
def make_users(environment, **_):
    wanted, http = int(os.environ.get("USERS", "50000")), session()

    def make(number: int) -> int:
        answer = http.post(f"{environment.host}/api/v2/users", json=body(number, number))
        if answer.status_code != 201:
            raise RuntimeError(f"cannot make users: {answer.status_code} {answer.text}")
        return answer.json()["id"]

    IDS[:] = Pool(AT_ONCE).map(make, range(wanted))


@events.test_stop.add_listener
def delete_users(environment, **_):
    """Those that were made and those that were created: their names begin with the run's."""
    http, users = session(), f"{environment.host}/api/v2/users"
    while page := http.get(users, params={"page_size": 100, "name_prefix": RUN}).json()["users"]:
        Pool(AT_ONCE).map(lambda user: http.delete(f"{users}/{user['id']}"), page)


class Caller(FastHttpUser):
    host = "http://127.0.0.1:3000"
    # Without a pause.
    wait_time = constant(0)
    default_headers = HEADERS

    @task(75)
    def read(self):
        self.client.get(f"/api/v2/users/{random.choice(IDS)}", name="read")

    @task(15)
    def update(self):
        number = random.randrange(len(IDS))
        word = time.monotonic_ns()
        self.client.put(f"/api/v2/users/{IDS[number]}", json=body(number, word), name="update")

    @task(5)
    def page(self):
        self.client.get("/api/v2/users?page_size=20", name="page")

    @task(5)
    def create(self):
        number = f"new-{next(NUMBERS)}"
        self.client.post("/api/v2/users", json=body(number, number), name="create")
