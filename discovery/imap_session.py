"""What a discovery asks of a mail server, each command bounded in bytes and time, and none that changes anything."""

from __future__ import annotations

import asyncio
import imaplib
import re
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from imap_tools.errors import ImapToolsError, MailboxFetchError
from imap_tools.utils import check_command_status

from discovery.imap_answers import read_answers
from discovery.imap_client import ANSWER_BYTES, Mailbox, connect, explain, is_loopback, log_in
from pipeline.errors import SourceRejectedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from discovery.imap_answers import FetchedMail
    from discovery.memory import Look
    from net.guard import Guard

T = TypeVar("T")

COMMAND_SECONDS = 300.0
SEARCH_BYTES = 24 * 1024 * 1024
"""The numbers of two million messages."""

WORDS_BYTES = 8 * 1024
"""What may stand around one message in an answer."""

_NUMBER = re.compile(r"[0-9]{1,10}")
_FAILURES = (OSError, imaplib.IMAP4.error, ImapToolsError, ValueError, SourceRejectedError)


@dataclass(frozen=True, slots=True)
class Account:
    """Where a mailbox is, and how to get in. `name` is for messages, without the password."""

    name: str
    host: str
    port: int
    user: str
    password: str
    security: str
    plain_anywhere: bool
    ca_file: Path | None


@asynccontextmanager
async def open_session(account: Account, guard: Guard, look: Look) -> AsyncIterator[ImapSession]:
    """
    Connect and log in; each command is counted in `look`.

    Raises `BlockedAddressError`, `SourceUnavailableError` and `SourceRejectedError`.
    """
    addresses = await guard.resolve(account.host, account.port)
    if account.security == "plain" and not (account.plain_anywhere or is_loopback(addresses)):
        raise SourceRejectedError(
            f"{account.name}: over a plain connection everybody on the way reads the password; use tls or starttls, "
            "or allow it by plain_anywhere: true"
        )
    session = await ImapSession.begin(account, addresses, look)
    try:
        await session.log_in(account)
        yield session
    finally:
        await session.end()


class ImapSession:
    """An open connection. Its methods raise `SourceUnavailableError` and `SourceRejectedError`."""

    def __init__(self, name: str, mailbox: Mailbox, look: Look) -> None:
        self._name, self._mailbox, self._look = name, mailbox, look

    @classmethod
    async def begin(cls, account: Account, addresses: Sequence[str], look: Look) -> ImapSession:
        """Connect."""
        opened = asyncio.to_thread(
            connect, account.host, account.port, addresses, account.security, account.ca_file
        )
        try:
            return cls(account.name, Mailbox(await opened), look)
        except _FAILURES as error:
            raise explain(error, account.name) from error

    async def log_in(self, account: Account) -> None:
        """Log in."""
        await self._ask(lambda: log_in(self._mailbox, account.user, account.password))

    async def examine(self, folder: str) -> int:
        """Open a folder for reading alone; the UIDVALIDITY under which its messages are numbered, or 0."""
        await self._ask(lambda: self._mailbox.folder.set(folder, readonly=True))
        _, given = self._mailbox.client.response("UIDVALIDITY")
        number = given[-1] if given else None
        return int(number) if isinstance(number, bytes) and number.isdigit() else 0

    async def search(self, criteria: str) -> list[int]:
        """Find the numbers (UIDs) of the messages that meet criteria, rising."""
        charset = None if criteria.isascii() else "UTF-8"
        found = await self._ask(lambda: self._mailbox.uids(criteria, charset), SEARCH_BYTES)
        return sorted({int(uid) for uid in found if _NUMBER.fullmatch(uid)})

    async def read(self, uids: Sequence[int], most_bytes: int) -> list[FetchedMail]:
        """
        Read messages by their numbers, of each at most its first `most_bytes`; they stay unseen.

        In the order of their numbers; those that are gone are left out.
        """
        parts = f"(UID RFC822.SIZE INTERNALDATE BODY.PEEK[]<0.{most_bytes}>)"
        numbers = ",".join(map(str, uids))

        def fetch() -> list[object]:
            answer = self._mailbox.client.uid("FETCH", numbers, parts)
            check_command_status(answer, MailboxFetchError)
            return list(answer[1])

        answers = await self._ask(fetch, ANSWER_BYTES + len(uids) * (most_bytes + WORDS_BYTES))
        wanted = set(uids)
        mails = {mail.uid: mail for mail in read_answers(answers) if mail.uid in wanted}
        return [mails[uid] for uid in sorted(mails)]

    async def end(self) -> None:
        """Take leave, if the server is still there."""
        client = self._mailbox.client
        try:
            client.allow(ANSWER_BYTES)
            client.sock.settimeout(5)
            async with asyncio.timeout(5):
                await asyncio.to_thread(client.logout)
        except _FAILURES:
            client.cut()
            with suppress(OSError):
                client.shutdown()

    async def _ask(self, command: Callable[[], T], most_bytes: int = ANSWER_BYTES) -> T:
        client = self._mailbox.client
        client.allow(most_bytes)
        self._look.requests += 1
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                return await asyncio.to_thread(command)
        except asyncio.CancelledError:
            client.cut()  # or its thread would go on waiting
            raise
        except _FAILURES as error:
            if isinstance(error, TimeoutError):
                client.cut()
            raise explain(error, self._name) from error
