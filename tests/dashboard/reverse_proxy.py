"""A small reverse proxy over real sockets, as nginx is set up: it serves a dashboard below a path, says who asks."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from http.client import HTTPConnection, IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.waiting import PATIENCE_SECONDS

HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "proxy-authorization",
}


@dataclass(frozen=True)
class Rules:
    """Where it sends what comes, below which path it serves it, and whether it takes that path off before."""

    to_port: int
    prefix: str
    strips: bool
    user: str | None = None
    keeps_host: bool = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rules: Rules

    def forward(self):
        rules = self.rules
        if not self.path.startswith(f"{rules.prefix}/"):
            self.send_error(404)
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        headers = {name: value for name, value in headers.items() if name.lower() != "x-forwarded-user"}
        if rules.user is not None:
            headers["X-Forwarded-User"] = rules.user
        if not rules.keeps_host:
            headers["Host"] = f"127.0.0.1:{rules.to_port}"
        path = self.path.removeprefix(rules.prefix) if rules.strips else self.path
        length = int(self.headers.get("Content-Length") or 0)
        upstream = HTTPConnection("127.0.0.1", rules.to_port, timeout=PATIENCE_SECONDS)
        with contextlib.closing(upstream):
            upstream.request(self.command, path, self.rfile.read(length) or None, headers)
            self.answer(upstream.getresponse())

    def answer(self, answered):
        self.send_response_only(answered.status, answered.reason)
        for name, value in answered.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(ConnectionError, IncompleteRead):  # one side has gone: so has the other then
            while piece := answered.read1(65536):
                self.wfile.write(piece)
                self.wfile.flush()
        self.close_connection = True

    do_GET = do_POST = forward  # noqa: N815 - the names that the server calls

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def proxying(rules):
    """Stand before a dashboard until the block ends; the proxy's own port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"rules": rules}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
