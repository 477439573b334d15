"""What both scenarios need: the programs, a database, a broker, replicas, and a proxy in front of them."""

from __future__ import annotations

import functools
from pathlib import Path

from children import Children
from haproxy import NAMES, Addresses, HaProxy
from ports import free_port
from rabbitmq import RabbitMq
from report import Report
from service import Service
from workbench import Workbench


class Replica:
    """The slot of a replica, with the ports that the proxy knows."""

    def __init__(self, bench: Bench, name: str, url: str) -> None:
        self._bench, self._url = bench, url
        self.name = name
        self._ports = free_port(), free_port()
        self.addresses = Addresses(*(f"127.0.0.1:{port}" for port in self._ports))
        self.service: Service | None = None

    def start(self, program: str) -> None:
        """Starts the replica, and returns when it is ready."""
        rest, grpc = map(str, self._ports)
        variables = {"SERVER_PORT": rest, "GRPC_PORT": grpc, "AMQP_URL": self._bench.rabbitmq.url}
        folder = self._bench.folder(self.name)
        self.service = Service(self._bench.children, program, folder, self._url, variables)


class Bench(Workbench):
    def __init__(self, program: str, previous: str, folder: Path, children: Children, report: Report) -> None:
        super().__init__(program, folder, children, report)
        self.previous = previous

    @functools.cached_property
    def rabbitmq(self) -> RabbitMq:
        return RabbitMq(self.children, self._folder)

    def replicas(self, count: int, url: str) -> list[Replica]:
        return [Replica(self, name, url) for name in NAMES[:count]]

    def proxy(self, replicas: list[Replica]) -> HaProxy:
        return HaProxy(self.children, self.folder("haproxy"), [replica.addresses for replica in replicas])
