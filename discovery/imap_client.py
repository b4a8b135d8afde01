"""
A connection to a mail server by IMAP: to a checked address, within bounds of bytes and time.

Source: RFC 3501, rfc-editor.org; the library imap-tools.
"""

from __future__ import annotations

import imaplib
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from imap_tools.errors import UnexpectedCommandStatusError
from imap_tools.mailbox import BaseMailBox

from net.addresses import parse_address
from pipeline.errors import SourceError, SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0
"""A server that says nothing for so long is away."""

ANSWER_BYTES = 1024 * 1024
_PASSING = ("[UNAVAILABLE]", "[INUSE]", "[SERVERBUG]", "* BYE")
"""What a server says that passes; `* BYE` is its greeting when it has too many guests, or is going down."""


class RefusedError(SourceRejectedError):
    """The server understood a command, and answered NO."""


class BoundedClient(imaplib.IMAP4):
    """Speaks IMAP over a socket that is connected already, and takes no more bytes than it was allowed last."""

    def __init__(self, sock: socket.socket, host: str) -> None:
        self._connected, self._left = sock, ANSWER_BYTES
        super().__init__(host)

    def allow(self, most_bytes: int) -> None:
        """Say how many bytes the answers may have from here on."""
        self._left = most_bytes

    def read(self, size: int) -> bytes:
        """Read a literal; one that is larger than allowed is not begun."""
        self._spend(size)
        return super().read(size)

    def readline(self) -> bytes:
        """Read a line; of one that is longer than allowed, no more than that."""
        line = cast("bytes", self.file.readline(self._left + 1))
        self._spend(len(line))
        return line

    def cut(self) -> None:
        """End the connection at once, also for a thread that waits for an answer."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        del timeout
        return self._connected

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise SourceRejectedError("the server sends more than it was asked for")


class Mailbox(BaseMailBox):
    """The library's mailbox, over our own client."""

    client: BoundedClient

    def __init__(self, client: BoundedClient) -> None:
        self._given = client
        super().__init__()

    def _get_mailbox_client(self) -> BoundedClient:
        return self._given


def connect(
    host: str, port: int, addresses: Sequence[str], security: str, ca_file: Path | None
) -> BoundedClient:
    """
    Connect to the first of a host's addresses that answers; `security` is tls, starttls or plain.

    Raises `OSError` (of which `ssl.SSLError` is one), `imaplib.IMAP4.error` and `SourceRejectedError`.
    """
    context = None if security == "plain" else _make_context(ca_file)
    sock = _connect_to_first(addresses, port)
    try:
        if security == "tls" and context is not None:
            sock = context.wrap_socket(sock, server_hostname=host)
        client = BoundedClient(sock, host)
        if security == "starttls" and context is not None:
            client.starttls(context)
    except BaseException:
        sock.close()
        raise
    return client


def is_loopback(addresses: Sequence[str]) -> bool:
    """Tell whether what goes to these addresses never leaves this machine."""
    return all(parse_address(address).is_loopback for address in addresses)


def log_in(mailbox: Mailbox, user: str, password: str) -> None:
    """Log in, by a way that takes any characters if the server has it. Raises as any command does."""
    if "AUTH=PLAIN" in mailbox.client.capabilities:
        mailbox.login_utf8(user, password, initial_folder=None)
    else:
        mailbox.login(user, password, initial_folder=None)


def explain(error: Exception, name: str) -> SourceError:
    """Make the error of a source out of what a command raised."""
    if isinstance(error, SourceError):
        return type(error)(f"{name}: {error}")
    told = _tell(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return SourceRejectedError(f"{name}: its certificate is not to be trusted: {told}")
    if isinstance(error, OSError | imaplib.IMAP4.abort) or any(word in told for word in _PASSING):
        return SourceUnavailableError(f"{name}: {told}")
    refused = isinstance(error, UnexpectedCommandStatusError)
    return (RefusedError if refused else SourceRejectedError)(f"{name}: {told}")


def _tell(error: Exception) -> str:
    if isinstance(error, UnexpectedCommandStatusError):
        status, answers = error.command_result[:2]
        told = b" ".join(each for each in answers if isinstance(each, bytes)).decode("utf-8", "replace")
        return f"{status} {told}"[:500]
    if isinstance(greeting := next(iter(error.args), None), bytes):
        return greeting.decode("utf-8", "replace")[:500]
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:500]


def _make_context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file.expanduser())
        except (OSError, RuntimeError) as error:
            raise SourceRejectedError(f"cannot use the certificate in {ca_file}: {_tell(error)}") from error
    return context


def _connect_to_first(addresses: Sequence[str], port: int) -> socket.socket:
    failure = OSError("the host has no address")
    for address in addresses:
        try:
            sock = socket.create_connection((address, port), CONNECT_SECONDS)
        except OSError as error:
            failure = error
        else:
            sock.settimeout(SILENCE_SECONDS)
            return sock
    raise failure
