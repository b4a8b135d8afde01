"""Which IP addresses belong to the public internet."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_TRANSLATED = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")

_NEVER = (
    IPv4Network("168.63.129.16/32"),  # Azure's host: a global number, answered inside every virtual machine
    IPv4Network("192.0.0.0/24"),  # protocol assignments; older Pythons call parts of it global
    IPv4Network("192.88.99.0/24"),  # the 6to4 relays, given up
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("3fff::/20"),  # documentation; older Pythons do not know it
)


def parse_address(text: str) -> Address:
    """Read an address as the resolver writes it, without the zone of a link-local one. Raises ValueError."""
    return ip_address(text.partition("%")[0])


def unwrap(address: Address) -> tuple[Address, ...]:
    """
    List the addresses that a packet to this one ends at.

    An IPv6 address may carry an IPv4 one: mapped (`::ffff:10.0.0.1`), translated (NAT64), tunnelled (6to4,
    Teredo: its server and its client). Any other address ends at itself.

    Source: RFC 4291 2.5.5, RFC 6052, RFC 3056, RFC 4380.
    """
    if isinstance(address, IPv4Address):
        return (address,)
    if address in _TRANSLATED:
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    inner = address.ipv4_mapped or address.sixtofour
    return (inner,) if inner else address.teredo or (address,)


def is_public(address: Address) -> bool:
    """
    Tell whether anyone on the internet reaches the same host at this address, unwrapped.

    Multicast is not public, and of IPv6 only global unicast is: what is not yet assigned is refused.

    Source: the IANA special-purpose address registries, RFC 6890.
    """
    return all(_is_global(inner) for inner in unwrap(address))


def _is_global(address: Address) -> bool:
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast
