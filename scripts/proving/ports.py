"""Free ports of this machine."""

from __future__ import annotations

import contextlib
import random
import socket


def free_port() -> int:
    """A port below those that Linux assigns to outgoing connections."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
