"""Ports of this machine, for servers that tests start."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from random import SystemRandom

LOWEST = 10_000
GIVEN_TO_CLIENTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def find_free_port() -> int:
    """
    Find a port on which nobody listens, for a server that is about to start, or for none.

    It is below those that the system gives to clients, as it does to whoever asks for any port: one of these may be
    somebody's before the server has it. And it is a chance one, whatever the tests' seed: they run side by side.
    """
    beyond = int(GIVEN_TO_CLIENTS.read_text().split()[0]) if GIVEN_TO_CLIENTS.exists() else 32_768
    while True:
        port = SystemRandom().randrange(LOWEST, beyond)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
