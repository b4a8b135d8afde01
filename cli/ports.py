"""The port of the dashboard: had before anybody is told of it."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

from pipeline.errors import OperatorError

HERE = "127.0.0.1"
BACKLOG = 2048


def take_port(host: str, port: int) -> list[socket.socket]:
    """Listen on a port of a host, at each of its addresses. Raises `OperatorError` when one of them cannot be had."""
    with contextlib.ExitStack() as taken:
        listening = [taken.enter_context(_listen(*place)) for place in _list_places(host, port)]
        taken.pop_all()
    return listening


def require_port(port: int) -> None:
    """Raise `OperatorError` if a port of this machine cannot be had now."""
    for listening in take_port(HERE, port):
        listening.close()


def _list_places(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise OperatorError(f"--host {host} cannot be listened on: {error.strerror}") from error
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _listen(family: socket.AddressFamily, address: Any) -> socket.socket:
    try:
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise OperatorError(
            f"port {address[1]} of {address[0]} cannot be had ({why}): choose another one with --port"
        ) from error
