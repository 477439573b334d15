"""Ports of this machine that nobody listens on."""

from __future__ import annotations

import contextlib
import random
import socket


def free_port() -> int:
    """Below the ports that Linux gives to outgoing connections."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
