"""Messages in a mailbox."""

from __future__ import annotations

import hashlib
import imaplib
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator

from discovery.base import BaseDiscovery, FoundItem, StrategyParams
from discovery.imap_client import RefusedError
from discovery.imap_session import Account, open_session
from discovery.mail_messages import HASHED_BYTES, read_mail
from discovery.shapes import read_object, read_whole
from pipeline.fields import FilePath  # noqa: TC001 - the model is built with it

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from discovery.imap_answers import FetchedMail
    from discovery.imap_session import ImapSession

MIB = 1024 * 1024
MOST_AT_ONCE = 50
BYTES_AT_ONCE = 32 * MIB
PORTS = {"tls": 993, "starttls": 143, "plain": 143}
BROKEN = "message that could not be read whole"


class ImapMailbox(BaseDiscovery):
    """
    Find the messages in a folder of a mailbox, by IMAP.

    Each discovery goes on behind the last message that was stored, also one that was interrupted. The mailbox is
    only read: nothing is marked as seen. When the server numbers the folder anew (another UIDVALIDITY), all of it
    is read again; the keys stay, so that nothing is doubled. A message that comes to meet the criteria only after
    later ones were stored is not found.

    Of a message of more than `max_bytes` only the beginning is fetched; text and HTML are cut at 300,000 bytes
    each. What a broken message does not give stays empty, and it is counted. Of messages with one Message-ID the
    first is found.

    The connection is encrypted and the server's certificate checked; a server in a private network must be in
    CELERIAC_ALLOW_HOSTS.

    Key: the Message-ID without its brackets, else a hash of the first 64 KiB. Order: as they arrived.
    Data: `{"from": str, "to": list[str], "cc": list[str], "subject": str, "published_at": str | None, "text": str,
    "html": str | None, "attachments": list, "size": int, "truncated": bool}`: addresses as `Name <address>`; when
    it was sent, else when it arrived, ISO in UTC; the plain text, else that of the HTML; the HTML only if wanted;
    of each attachment its name, type and size in bytes. One request for every 32 messages, and three more.
    Example: {strategy: imap_mailbox, host: imap.example.org, user: ada@example.org, password: "${IMAP_PASSWORD}",
    folder: Invoices, criteria: 'FROM "billing@example.com"'}

    Source: RFC 3501, rfc-editor.org.
    """

    class Params(StrategyParams):
        """Which mailbox, and which of its messages."""

        host: str = Field(pattern=r"^[\w.:-]+$", description="The mail server.")
        user: str = Field(min_length=1, description="Whose mailbox.")
        password: SecretStr = Field(
            description="The password, or one for this application; from IMAP_PASSWORD unless it is given."
        )
        folder: str = Field("INBOX", min_length=1, description="The folder, as the server names it.")
        criteria: str = Field(
            "ALL",
            min_length=1,
            description='Which messages, in the words of IMAP\'s SEARCH: FROM "a@b" UNSEEN.',
        )
        html: bool = Field(False, description="Keep the HTML as well as the text.")
        max_bytes: int = Field(
            MIB, ge=HASHED_BYTES, le=16 * MIB, description="Fetch no more of a message than so many bytes."
        )
        security: Literal["tls", "starttls", "plain"] = Field(
            "tls",
            description="How the connection is encrypted; plain, not at all, reaches this machine alone.",
        )
        plain_anywhere: bool = Field(
            False,
            description="Let a plain connection, on which the password can be read, leave this machine.",
        )
        port: int | None = Field(
            None, ge=1, le=65535, description="The port; left out, 993 for tls, else 143."
        )
        ca_file: FilePath | None = Field(
            None, description="A PEM file with a certificate to trust beside those of the system."
        )

        @field_validator("host")
        @classmethod
        def _can_be_found(cls, host: str) -> str:
            if host.count(":") == 1 or ".." in host:
                raise ValueError("no name of a mail server, such as imap.example.org; its port is `port`")
            return host

        @field_validator("user", "folder", "criteria")
        @classmethod
        def _fits_in_a_line(cls, text: str) -> str:
            return _check_line(text)

        @field_validator("password")
        @classmethod
        def _password_fits_in_a_line(cls, password: SecretStr) -> SecretStr:
            _check_line(password.get_secret_value())
            return password

    from_environment: ClassVar[Mapping[str, str]] = {"password": "IMAP_PASSWORD"}
    params: Params

    async def discover(self) -> list[FoundItem]:
        """Read what is new. Raises `SourceUnavailableError` or `SourceRejectedError`."""
        async with self.looking():
            source, account = self._name_source(), self._make_account()
            async with open_session(account, self.access.guard, self.looks[source]) as session:
                await self._read_folder(session, source)
        return self.kept

    async def _read_folder(self, session: ImapSession, source: str) -> None:
        validity = await session.examine(self.params.folder)
        after = await self._find_start(source, validity)
        uids = [uid for uid in await session.search(self._make_criteria(after)) if uid > after]
        at_once = min(MOST_AT_ONCE, BYTES_AT_ONCE // self.params.max_bytes)
        for at in range(0, len(uids), at_once):
            some = uids[at : at + at_once]
            items = [self._make_item(mail) for mail in await self._read(session, some)]
            cursor = {"uidvalidity": validity, "uid": some[-1]}
            await self.hand_over(items, source=source, cursor=cursor)
        if after:
            self.note_if_nothing_came(source)

    async def _find_start(self, source: str, validity: int) -> int:
        known = read_object(self.recall(source).cursor)
        was, uid = read_whole(known.get("uidvalidity")), read_whole(known.get("uid"))
        if was is None or uid is None:
            return 0
        if was == validity:
            return uid
        self.problems.append(
            f"the server has numbered {self.params.folder} anew (UIDVALIDITY {validity}, was {was}): all of it is "
            "read again"
        )
        await self.hand_over((), source=source, cursor={"uidvalidity": validity, "uid": 0})
        return 0

    def _make_criteria(self, after: int) -> str:
        wanted = [f"UID {after + 1}:*"] if after else []
        if self.access.since is not None:
            # by the day of arrival, in the server's time zone; the runner looks at the instant
            day = imaplib.Time2Internaldate(self.access.since - timedelta(days=2))[1:12].strip()
            wanted.append(f"SINCE {day}")
        return " ".join([*wanted, f"({self.params.criteria})"])

    async def _read(self, session: ImapSession, uids: Sequence[int]) -> list[FetchedMail]:
        try:
            return await session.read(uids, self.params.max_bytes)
        except RefusedError as error:
            if len(uids) == 1:
                self.problems.append(f"message {uids[0]} is passed over: {error}")
                return []
        return [mail for uid in uids for mail in await self._read(session, [uid])]

    def _make_item(self, fetched: FetchedMail) -> FoundItem:
        mail = read_mail(fetched, with_html=self.params.html)
        if mail.is_broken:
            self.refused[BROKEN] += 1
        return FoundItem(mail.key, mail.data)

    def _make_account(self) -> Account:
        params = self.params
        return Account(
            name=f"the mailbox {params.user} at {params.host}",
            host=params.host,
            port=self._port,
            user=params.user,
            password=params.password.get_secret_value(),
            security=params.security,
            plain_anywhere=params.plain_anywhere,
            ca_file=params.ca_file,
        )

    @property
    def _port(self) -> int:
        return self.params.port or PORTS[self.params.security]

    def _name_source(self) -> str:
        # Other criteria are another source: how far it was read is not ours.
        params = self.params
        name = f"imap://{quote(params.user, safe='')}@{params.host}:{self._port}/{quote(params.folder)}"
        digest = hashlib.sha256(params.criteria.encode()).hexdigest()[:8]
        return name if params.criteria == "ALL" else f"{name} #{digest}"


def _check_line(text: str) -> str:
    if any(character in text for character in "\r\n\0"):
        raise ValueError("a line break has no place in it")
    return text
