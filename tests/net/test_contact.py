"""Strangers are asked by nobody whom they cannot reach."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from net.client import PoliteClient
from net.guard import Guard
from pipeline.catalog import HANDLER, HANDLERS, OFFLINE, STRATEGIES, STRATEGY, load
from pipeline.errors import NoContactError


def test_without_a_contact_nothing_public_is_asked():
    with pytest.raises(
        NoContactError, match=r"a request to 8\.8\.8\.8 needs a contact: set CELERIAC_CONTACT"
    ):
        PoliteClient(contact=None).fetch_now("http://8.8.8.8/")


def test_without_a_contact_what_is_on_the_allow_list_is_asked(httpserver):
    httpserver.expect_request("/").respond_with_data("here")
    client = PoliteClient(contact=None, allow_hosts=["127.0.0.0/8"])
    assert client.fetch_now(f"http://127.0.0.1:{httpserver.port}/").body == b"here"


def test_a_public_host_on_the_allow_list_may_be_asked_without_a_contact():
    guard = Guard.allowing(["8.8.8.8"], has_contact=False)
    assert asyncio.run(guard.resolve("8.8.8.8", 80)) == ("8.8.8.8",)


@pytest.mark.parametrize("name", sorted(OFFLINE & {*STRATEGIES, *HANDLERS}))
def test_what_is_said_to_be_offline_asks_nobody_on_the_web(name):
    plugin = load(STRATEGY if name in STRATEGIES else HANDLER, name)
    source = inspect.getsource(inspect.getmodule(plugin))
    assert not [word for word in ("self.fetch", ".http.", "self.access.http") if word in source]
