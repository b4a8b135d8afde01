from __future__ import annotations

from ipaddress import ip_address

import pytest

from net.addresses import is_public, parse_address

PUBLIC = """
8.8.8.8 1.1.1.1 2606:4700::1111
::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1 2001:0:808:808::f7f7:f7f7
"""

NOT_PUBLIC = """
0.0.0.0 10.0.0.1 100.64.1.1 127.0.0.1 127.255.0.1 168.63.129.16 169.254.169.254 172.16.0.1 192.0.0.8
192.88.99.1 192.168.1.1 198.18.0.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255
:: ::1 ::10.0.0.1 100::1 2001:db8::1 3fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1
::ffff:10.0.0.1 ::ffff:127.0.0.1 64:ff9b::a00:1 64:ff9b::7f00:1 64:ff9b:1::808:808
2002:a00:1::1 2002:7f00:1::1 2001:0:808:808::f5ff:fffe 2001:0:a00:1::f7f7:f7f7
"""


@pytest.mark.parametrize("address", PUBLIC.split())
def test_an_address_of_the_internet_is_public_in_every_form(address):
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_an_address_that_means_another_host_elsewhere_is_not_public_in_any_form(address):
    assert not is_public(ip_address(address))


def test_the_zone_of_a_link_local_address_is_left_out():
    assert parse_address("fe80::1%eth0") == ip_address("fe80::1")
