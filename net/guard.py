"""The guard against requests that an address from outside would lead into a private network."""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

import httpx2

from net.addresses import Address, Network, is_public, parse_address, unwrap
from pipeline.errors import (
    BlockedAddressError,
    NoContactError,
    OperatorError,
    SourceRejectedError,
    SourceUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOST_NAME = re.compile(r"(?!-)[\w-]+(\.[\w-]+)*")


@dataclass(frozen=True, slots=True)
class Guard:
    """
    Decides where requests may go: to public addresses, and to the hosts and networks on the allow-list.

    Without a contact, to those on the allow-list alone: strangers must be able to reach whoever asks them.
    """

    names: frozenset[str]
    networks: tuple[Network, ...]
    has_contact: bool = True

    @classmethod
    def allowing(cls, allow_hosts: Sequence[str], *, has_contact: bool = True) -> Guard:
        """
        Read an allow-list of host names (`nas.lan`, that name only), addresses and networks (`10.0.0.0/8`).

        Raises `OperatorError` for an entry that is none of these.
        """
        parsed = [_parse_entry(entry) for entry in allow_hosts]
        return cls(
            frozenset(entry for entry in parsed if isinstance(entry, str)),
            tuple(entry for entry in parsed if not isinstance(entry, str)),
            has_contact,
        )

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        """
        Look up where a host is, in the order in which to try; connect to these and to nothing else.

        Raises `SourceUnavailableError` when there is no answer, `BlockedAddressError` when any of the answers
        may not be reached: a name with one public and one private address is a trick. Raises `NoContactError` for
        a public address when there is no contact.
        """
        addresses = [parse_address(text) for text in await _look_up(host, port)]
        if _as_asked(_plain(host)) not in self.names:
            for address in addresses:
                self._check(host, address)
        return tuple(str(address) for address in addresses)

    def _check(self, host: str, address: Address) -> None:
        reached = (address, *unwrap(address))
        if any(each in network for network in self.networks for each in reached):
            return
        if is_public(address) and not self.has_contact:
            raise NoContactError(f"a request to {host}")
        if is_public(address):
            return
        where = host if host == str(address) else f"{host} is at {address}, which"
        raise BlockedAddressError(
            f"{where} is not on the public internet; if requests may go there, add it to CELERIAC_ALLOW_HOSTS"
        )


async def _look_up(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise SourceUnavailableError(f"cannot find the host {host}: {error.strerror or error}") from error
    except UnicodeError as error:
        raise SourceRejectedError(f"{host!r} is not the name of a host") from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def _parse_entry(entry: str) -> str | Network:
    text = _plain(entry)
    try:
        return ip_network(text, strict=False)
    except ValueError:
        if _HOST_NAME.fullmatch(text) and (name := _as_asked(text)):
            return name
    raise OperatorError(
        f"CELERIAC_ALLOW_HOSTS: {entry!r} is no host name, address or network like 10.0.0.0/8"
    )


def _plain(host: str) -> str:
    return host.strip().strip("[]").rstrip(".").lower()


def _as_asked(name: str) -> str:
    """Write a name as the client asks for it, `müller.lan` as `xn--mller-kva.lan`; empty when it cannot."""
    try:
        return name if name.isascii() else httpx2.URL(scheme="http", host=name).raw_host.decode("ascii")
    except httpx2.InvalidURL:
        return ""
