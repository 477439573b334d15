"""A private RabbitMQ."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from children import Children
from ports import free_port

SCRIPT = str(Path(__file__).parent.parent / "rabbitmq")
START_TIMEOUT = 60.0


class RabbitMq:
    """A running, empty broker."""

    def __init__(self, started: Children, folder: Path) -> None:
        port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{port}/%2f"
        log = folder / "rabbitmq.log"
        with open(log, "wb") as output:
            process = started.start([SCRIPT, str(folder / "rabbitmq"), str(port)], cwd=str(folder), output=output)
        deadline = time.monotonic() + START_TIMEOUT
        while not _listens(port):
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"RabbitMQ did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
