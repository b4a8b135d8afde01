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
    Takes connections from a socket that listens, with `tls` encrypted ones, to a Unix socket or a local port.

    While it is `shut` it swallows what comes, both ways, and closes nothing, as a network does that drops packets.
    In the end it closes every connection, for what is left to the garbage collector is found fault with in some other
    test.
    """

    def __init__(
        self, listening: socket.socket, target: str | int, tls: ssl.SSLContext | None = None
    ) -> None:
        self._tls = tls
        self._target, self._listening = target, listening
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

    def listen(self) -> socket.socket:
        """Listen at this side's address, on a port that is free."""
        return socket.create_server((self.host, 0))

    def cut(self) -> None:
        for relay in self.relays:
            relay.shut()

    def mend(self) -> None:
        for relay in self.relays:
            relay.reopen()


LISTEN = """
import socket, sys
with socket.create_server((sys.argv[1], 0)) as listening, socket.socket(fileno=0) as asked:
    socket.send_fds(asked, [b"."], [listening.fileno()])
"""
"""Gives a socket that listens at an address to whoever has the other end of its standard input."""


class Namespace:
    """
    A network namespace, and this side's end of the pair of virtual cables that leads there, which can be taken down.

    This side's end is in a namespace too: a browser drops what it asks for whenever an address of its machine comes
    or goes, and the tests in a browser run at the same time.
    """

    def __init__(self, hidden: Path) -> None:
        self.name = f"far{uuid.uuid4().hex[:8]}"
        self._near = f"near{self.name}"
        net = f"10.213.{int(uuid.uuid4().hex[:2], 16)}"
        self.host, self.relays = f"{net}.1", []
        # a mount namespace of its own as well, in which the folder of the house is empty
        hide = f"mount -t tmpfs none '{hidden}' && exec \"$@\""
        self.prefix = ("ip", "netns", "exec", self.name, "unshare", "--mount", "sh", "-euc", hide, "sh")
        try:
            _ip("netns", "add", self._near)
            _ip("netns", "add", self.name)
            for place, command in (
                (self._near, f"link add near0 type veth peer name far0 netns {self.name}"),
                (self._near, f"addr add {self.host}/30 dev near0"),
                (self._near, "link set near0 up"),
                (self.name, f"addr add {net}.2/30 dev far0"),
                (self.name, "link set far0 up"),
                (self.name, "link set lo up"),
            ):
                _ip("-n", place, *command.split())
            subprocess.run([*self.prefix, "true"], check=True, capture_output=True)
        except BaseException:
            self.remove()
            raise

    def listen(self) -> socket.socket:
        """Listen at this side's address, on a port that is free."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            _ip("netns", "exec", self._near, sys.executable, "-c", LISTEN, self.host, stdin=theirs)
            [listening] = socket.recv_fds(ours, 1, 1)[1]
        return socket.socket(fileno=listening)

    def cut(self) -> None:
        _ip("-n", self._near, "link", "set", "near0", "down")

    def mend(self) -> None:
        _ip("-n", self._near, "link", "set", "near0", "up")

    def remove(self) -> None:
        for name in (self.name, self._near):
            with suppress(subprocess.CalledProcessError):  # it was never made
                _ip("netns", "del", name)


def _ip(*arguments: str, stdin: socket.socket | None = None) -> None:
    subprocess.run([shutil.which("ip") or "ip", *arguments], check=True, capture_output=True, stdin=stdin)


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
