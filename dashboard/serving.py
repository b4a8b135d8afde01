"""Serves the dashboard, and stops when it is told to although tabs listen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    import socket
    from types import FrameType

    from fastapi import FastAPI

STOP_SECONDS = 5
"""How long a request may take to end before the server goes."""


class Server(uvicorn.Server):
    """A server that ends its streams when it is told to stop: it would wait for them else."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._live: Any = app.state.live

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the streams, then stop; the second time at once. To be told to stop is no failure."""
        del sig, frame
        self._live.close()
        self.force_exit, self.should_exit = self.should_exit, True


def serve(app: FastAPI, sockets: list[socket.socket]) -> None:
    """Serve on sockets that listen, until SIGTERM or Ctrl-C."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # whose word is taken about a visitor is said once, in `Served`
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    Server(config, app).run(sockets)
