"""Another machine: a network namespace that sees nothing of the house's folder, or a way that swallows everything."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import House


class Relay:
    """
    Takes connections at an address, with `tls` encrypted ones, and carries them on to a Unix socket or a local port.

    While it is `shut` it swallows what comes, both ways, and closes nothing, as a network does that drops packets.
    In the end it closes every connection, for what is left to the garbage collector is found fault with in some other
    test.
    """

    def __init__(self, host: str, target: str | int, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._target, self._listening = target, socket.create_server((host, 0))
        self.port = self._listening.getsockname()[1]
        self._loop, self._started = asyncio.new_event_loop(), threading.Event()
        self._serving: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._started.wait()

    def shut(self) -> None:
        self._loop.call_soon_threadsafe(self._open.clear)

    def reopen(self) -> None:
        self._loop.call_soon_threadsafe(self._open.set)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:  # at its end it cancels what is left
            runner.run(self._listen())

    async def _listen(self) -> None:
        self._open, self._over = asyncio.Event(), asyncio.Event()
        self._open.set()
        self._listening.setblocking(False)
        self._loop.add_reader(self._listening, self._accept)
        self._started.set()
        await self._over.wait()
        self._loop.remove_reader(self._listening)
        self._listening.close()
        await asyncio.sleep(0)  # a task that has not begun closes nothing when it is cancelled
        for serving in self._serving:
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _accept(self) -> None:
        with suppress(OSError):  # who is gone again
            accepted, _ = self._listening.accept()
            accepted.setblocking(False)
            serving = self._loop.create_task(self._serve(accepted))
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)

    async def _serve(self, accepted: socket.socket) -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        with suppress(OSError, asyncio.CancelledError):
            transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, accepted, ssl=self._tls)
            writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
            try:
                await self._open.wait()
                await self._carry(reader, writer)
            finally:  # also when nobody listens there: who is refused must hear of it
                await _cut_off(writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await (
            asyncio.open_unix_connection(self._target)
            if isinstance(self._target, str)
            else asyncio.open_connection("127.0.0.1", self._target)
        )
        try:
            await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
        finally:
            await _cut_off(there_writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65_536):
                await self._open.wait()
                writer.write(piece)
                await writer.drain()
        writer.close()


async def _cut_off(writer: asyncio.StreamWriter) -> None:
    """Close a connection, whatever it still has to send, and wait until it is."""
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


class SameNetwork:
    """The fallback: the same network, whose relays can be shut."""

    host = "127.0.0.1"
    prefix: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.relays: list[Relay] = []

    def cut(self) -> None:
        for relay in self.relays:
            relay.shut()

    def mend(self) -> None:
        for relay in self.relays:
            relay.reopen()


class Namespace:
    """A network namespace behind a pair of virtual cables, one end of which can be taken down."""

    def __init__(self, hidden: Path) -> None:
        self.name = f"far{uuid.uuid4().hex[:8]}"
        net = f"10.213.{int(uuid.uuid4().hex[:2], 16)}"
        self.host, self.relays = f"{net}.1", []
        self._cable = f"v{self.name}"
        # a mount namespace of its own as well, in which the folder of the house is empty
        hide = f"mount -t tmpfs none '{hidden}' && exec \"$@\""
        self.prefix = ("ip", "netns", "exec", self.name, "unshare", "--mount", "sh", "-euc", hide, "sh")
        _ip("netns", "add", self.name)
        try:
            _ip("link", "add", self._cable, "type", "veth", "peer", "name", "far0", "netns", self.name)
            _ip("addr", "add", f"{self.host}/30", "dev", self._cable)
            _ip("link", "set", self._cable, "up")
            for command in (
                f"addr add {net}.2/30 dev far0",
                "link set far0 up",
                "link set lo up",
            ):
                _ip("netns", "exec", self.name, "ip", *command.split())
            subprocess.run([*self.prefix, "true"], check=True, capture_output=True)
        except BaseException:
            self.remove()
            raise

    def cut(self) -> None:
        _ip("link", "set", self._cable, "down")

    def mend(self) -> None:
        _ip("link", "set", self._cable, "up")

    def remove(self) -> None:
        with suppress(subprocess.CalledProcessError):  # gone with the namespace already, if its making failed
            _ip("link", "del", self._cable)
        _ip("netns", "del", self.name)


def _ip(*arguments: str) -> None:
    subprocess.run([shutil.which("ip") or "ip", *arguments], check=True, capture_output=True)


@contextmanager
def another_network(hidden: Path) -> Iterator[Namespace | SameNetwork]:
    """Make a network of its own where that is allowed, which takes root and `ip`; else fall back."""
    try:
        namespace = Namespace(hidden)
    except (OSError, subprocess.CalledProcessError):
        network = SameNetwork()
        try:
            yield network
        finally:
            _close(network.relays)
        return
    try:
        yield namespace
    finally:
        _close(namespace.relays)
        namespace.remove()


def _close(relays: list[Relay]) -> None:
    for relay in relays:
        relay.close()


class FarHost:
    """A machine that has the code, a way to the broker and to the dashboard, and a token."""

    def __init__(self, house: House, network: Namespace | SameNetwork, folder: Path, **given: str) -> None:
        self._house, self.network, self._folder = house, network, folder
        root = house.environment["PYTHONPATH"].split(os.pathsep)[0]
        self.environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("CELERIAC_")},
            "CELERIAC_DATA": str(folder / "data"),
            "CELERIAC_JOBS": str(folder / "jobs.yaml"),
            "CELERIAC_ALLOW_HOSTS": network.host,
            "PYTHONPATH": os.pathsep.join([root, str(folder)]),
            "PYTHONWARNINGS": "ignore",
            **given,
        }

    def start_worker(self, name: str, *options: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Start a remote worker there; it is stopped with the house."""
        log = (self._house.directory.parent / f"{name}.log").open("ab")
        process = subprocess.Popen(
            [
                *self.network.prefix,
                *prefix,
                *(sys.executable, "-m", "cli.main", "worker", "--remote", "--queues", "far"),
                *("--hostname", f"{name}@%h", *options),
            ],
            env=self.environment,
            cwd=self._folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        self._house.processes.append(process)
        return process
