from __future__ import annotations

import asyncio
import socket

import pytest

from net.client import PoliteClient
from net.guard import Guard
from pipeline.errors import BlockedAddressError, OperatorError, SourceRejectedError, SourceUnavailableError


@pytest.fixture
def name_service(monkeypatch):
    """Answer look-ups of names under .test from a table, one answer after the other; note what was asked."""
    answers, asked, really = {}, [], socket.getaddrinfo

    def look_up(host, port, *args, **kwargs):
        if not str(host).endswith(".test"):
            return really(host, port, *args, **kwargs)
        asked.append(host)
        addresses = answers[host].pop(0)
        return [entry for each in addresses for entry in really(each, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return answers, asked


def resolve(host, *allow_hosts):
    return asyncio.run(Guard.allowing(allow_hosts).resolve(host, 80))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0", "::1", "::ffff:127.0.0.1"]
)
def test_this_machine_is_refused_however_it_is_written(host):
    with pytest.raises(BlockedAddressError, match="CELERIAC_ALLOW_HOSTS"):
        resolve(host)


def test_a_public_address_is_let_through():
    assert resolve("8.8.8.8") == ("8.8.8.8",)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.9", "127.0.0.0/8"),
        ("127.0.0.9", "127.0.0.1/8"),
        ("localhost", "LocalHost."),
        ("::1", "[::1]"),
        ("::ffff:127.0.0.1", "127.0.0.0/8"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
    ],
)
def test_a_host_on_the_allow_list_may_be_reached(host, allowed):
    assert resolve(host, allowed)


@pytest.mark.parametrize("allowed", ["müller.test", "MÜLLER.test.", "xn--mller-kva.test"])
@pytest.mark.parametrize("host", ["müller.test", "xn--mller-kva.test"])
def test_a_name_on_the_allow_list_may_have_any_letters(name_service, httpserver, allowed, host):
    answers, _ = name_service
    answers["xn--mller-kva.test"] = [["127.0.0.1"]]
    httpserver.expect_request("/").respond_with_data("here")
    client = PoliteClient(contact=None, allow_hosts=[allowed])
    assert client.fetch_now(f"http://{host}:{httpserver.port}/").body == b"here"


def test_an_allowed_name_allows_no_other_name_of_the_same_address():
    with pytest.raises(BlockedAddressError):
        resolve("127.0.0.1", "localhost")


def test_a_name_with_one_private_address_among_public_ones_is_refused(name_service):
    answers, _ = name_service
    answers["mixed.test"] = [["8.8.8.8", "10.0.0.1"]]
    with pytest.raises(BlockedAddressError, match=r"mixed\.test is at 10\.0\.0\.1"):
        resolve("mixed.test")


def test_the_connection_goes_to_the_address_that_was_checked(name_service, httpserver):
    answers, asked = name_service
    answers["rebinding.test"] = [["127.0.0.1"], ["10.0.0.1"]]
    httpserver.expect_request("/").respond_with_data("here")
    client = PoliteClient(contact=None, allow_hosts=["127.0.0.1"])
    assert client.fetch_now(f"http://rebinding.test:{httpserver.port}/").body == b"here"
    assert asked == ["rebinding.test"]


def test_a_second_address_is_tried_when_the_first_does_not_answer(name_service, httpserver):
    answers, _ = name_service
    answers["two.test"] = [["::1", "127.0.0.1"]]
    httpserver.expect_request("/").respond_with_data("here")
    client = PoliteClient(contact=None, allow_hosts=["two.test"])
    assert client.fetch_now(f"http://two.test:{httpserver.port}/").body == b"here"


def test_a_name_that_does_not_exist_may_exist_later():
    with pytest.raises(SourceUnavailableError, match=r"nowhere\.invalid"):
        resolve("nowhere.invalid")


def test_a_name_that_can_never_be_one_is_rejected():
    with pytest.raises(SourceRejectedError, match="not the name of a host"):
        resolve("a" * 70 + ".example")


@pytest.mark.parametrize("entry", ["10.0.0.0/33", "http://nas.lan", "two words", "", "ü" * 70])
def test_an_allow_list_entry_that_is_nothing_is_named(entry):
    with pytest.raises(OperatorError, match="CELERIAC_ALLOW_HOSTS"):
        Guard.allowing([entry])
