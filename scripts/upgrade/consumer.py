"""A consumer of the message broker, like the one in docs/events.md: it has its own queue and acknowledges each
message."""

from __future__ import annotations

import json
import threading

import pika

from readers import Told, told

EXCHANGE = "user_events"


class Consumer(threading.Thread):
    """Consumes until it is stopped. The constructor binds the queue, so it misses nothing from then on."""

    def __init__(self, url: str, queue: str) -> None:
        super().__init__(name="consumer", daemon=True)
        self.events: list[Told] = []
        self._stopped = threading.Event()
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()
        self._channel.exchange_declare(EXCHANGE, "topic", durable=True)
        self._queue = queue
        self._channel.queue_declare(queue, durable=True)
        self._channel.queue_bind(queue, EXCHANGE, "user.*")
        self._channel.basic_qos(prefetch_count=100)

    def run(self) -> None:
        for method, _properties, body in self._channel.consume(self._queue, inactivity_timeout=0.2):
            if body is not None:
                self.events.append(told(json.loads(body)))
                self._channel.basic_ack(method.delivery_tag)
            if self._stopped.is_set():
                break
        self._connection.close()

    def stop(self) -> None:
        self._stopped.set()
        self.join()
