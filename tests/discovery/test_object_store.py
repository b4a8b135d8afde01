from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from dataclasses import replace

import fsspec
import pytest
from pydantic import ValidationError
from s3_server import KEYS, open_client, put_objects, run_s3_server, s3_permissions

from discovery import object_listing, object_store
from discovery.object_access import open_s3, telling
from discovery.object_store import ObjectStore
from net.guard import Guard
from pipeline.errors import BlockedAddressError, SourceRejectedError, SourceUnavailableError


@pytest.fixture
def few(monkeypatch):
    """Have pages and batches of two."""
    monkeypatch.setattr(object_listing, "PAGE", 2)
    monkeypatch.setattr(object_store, "BATCH", 2)


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """Be nobody to Amazon, wherever this runs."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def look(memory):
    """Discover with the memory of before; the strategy."""

    def look(url, **params):
        memory.forget_batches()
        return memory.discover(ObjectStore, {"url": url, **params})

    return look


def names(memory):
    return [item.data["name"] for batch in memory.batches for item in batch.items]


# -- folders ----------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path):
    """Make a small tree, with an outside beside it."""
    for name in ("root/b.txt", "root/a/c.txt", "root/a/x/d.txt", "root/a.txt", "out/secret.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "root"


TREE = ["a.txt", "a/c.txt", "a/x/d.txt", "b.txt"]


def test_a_file_is_an_object_with_its_url_size_and_time(look, root, memory):
    os.utime(root / "b.txt", (1_767_225_600, 1_767_225_600))
    look(f"file://{root}", include=["b.txt"])
    (item,) = memory.items.values()
    assert (item.key, item.version) == (f"file://{root}/b.txt", "2026-01-01T00:00:00+00:00 10")
    assert item.data == {
        "uri": f"file://{root}/b.txt",
        "name": "b.txt",
        "size": 10,
        "modified_at": "2026-01-01T00:00:00+00:00",
    }


def test_every_object_is_found_in_the_order_of_its_name(look, root, memory):
    look(f"file://{root}/")
    assert names(memory) == TREE


def test_only_what_is_included_not_excluded_and_not_too_large_is_found(look, root, memory):
    look(f"file://{root}", include=["*.txt"], exclude=["x"], max_bytes=11)
    assert names(memory) == ["a.txt", "b.txt"]


def test_what_leads_out_of_the_folder_is_left_out(look, root, memory):
    (root / "link.txt").symlink_to(root.parent / "out" / "secret.txt")
    (root / "folder").symlink_to(root.parent / "out")
    (root / "nowhere").symlink_to(root / "gone")
    (root / "loop").symlink_to(root)
    (root / "inside.txt").symlink_to(root / "b.txt")
    os.mkfifo(root / "pipe")
    look(f"file://{root}")
    assert names(memory) == [*TREE, "inside.txt"]


def test_a_folder_that_vanishes_while_it_is_listed_is_a_problem_and_not_the_end(root):
    problems = []

    def enters(name):
        if name == "a/x":  # it was listed with its folder, and is entered later
            shutil.rmtree(root / name)
        return True

    async def walk():
        store = fsspec.filesystem("file")
        listed = object_listing.list_folders(store, str(root), None, enters=enters, note=problems.append)
        return [each.name async for each in listed]

    assert asyncio.run(walk()) == ["a.txt", "a/c.txt", "b.txt"]
    assert problems == [f"cannot read the folder {root}/a/x: No such file or directory"]


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_a_folder_that_is_not_there_is_unavailable(look, tmp_path, scheme):
    with pytest.raises(SourceUnavailableError, match="absent"):
        look(f"{scheme}://{tmp_path}/absent")


def test_a_listing_that_was_killed_goes_on_and_the_next_begins_anew(look, root, memory, few):
    with memory.killed_after(1):
        look(f"file://{root}")
    look(f"file://{root}")
    assert names(memory) == ["a/x/d.txt", "b.txt"]
    look(f"file://{root}")
    assert names(memory) == TREE


def test_objects_in_memory_are_found(look, memory):
    store = fsspec.filesystem("memory")
    store.pipe({"/place/a": b"1", "/place/b/c": b"22"})
    try:
        look("memory://place")
    finally:
        store.rm("/place", recursive=True)
    assert [(item.key, item.data["size"]) for item in memory.items.values()] == [
        ("memory://place/a", 1),
        ("memory://place/b/c", 2),
    ]


# -- S3 ---------------------------------------------------------------------------------------------------


@pytest.fixture
def address():
    with run_s3_server() as address:
        yield address


@pytest.fixture
def ask(look, address):
    """Discover in the bucket at the server."""
    return lambda url="s3://bucket", **params: look(url, **{"endpoint_url": address, **KEYS, **params})


ODD = ["a b", "a#b?c", "d/e+f", "z", "ü/%41"]


def test_objects_of_a_bucket_are_found_whatever_their_names(ask, address, memory):
    put_objects(address, "bucket", dict.fromkeys(ODD, b"1") | {"d/": b""})
    ask()
    assert names(memory) == ODD
    assert list(memory.items) == [f"s3://bucket/{name}" for name in ODD]


def test_below_a_folder_only_its_own_objects_are_found(ask, address, memory):
    put_objects(address, "bucket", {"in/a.txt": b"1", "in/x/b.txt": b"1", "inside": b"1"})
    ask("s3://bucket/in", exclude=["x"])
    assert names(memory) == ["a.txt"]


def test_an_object_that_was_changed_has_another_version(ask, address, memory):
    put_objects(address, "bucket", {"a": b"1"})
    ask()
    before = memory.items["s3://bucket/a"].version
    put_objects(address, "bucket", {"a": b"2"})
    ask()
    assert memory.items["s3://bucket/a"].version != before


def test_a_listing_of_many_pages_that_was_killed_goes_on(ask, address, memory, few):
    put_objects(address, "bucket", {f"in/{number}": b"1" for number in range(7)})
    with memory.killed_after(2):
        ask("s3://bucket/in")
    assert names(memory) == ["0", "1", "2", "3"]
    ask("s3://bucket/in")
    assert names(memory) == ["4", "5", "6"]


def test_an_object_that_vanishes_between_two_pages_is_not_missed(ask, address, memory, few):
    put_objects(address, "bucket", {f"{number}": b"1" for number in range(5)})
    receive, client = memory.receive, open_client(address)
    memory.receive = lambda batch: (
        receive(batch),
        [client.delete_object(Bucket="bucket", Key=key) for key in ("1", "2")],
    )
    ask()
    client.close()
    assert names(memory) == ["0", "1", "3", "4"]


def test_a_public_bucket_is_read_without_credentials(ask, address, memory):
    put_objects(address, "bucket", {"a": b"1"})
    ask(access_key=None, secret_key=None, anonymous=True)
    assert names(memory) == ["a"]


def test_credentials_come_from_the_environment(ask, address, memory, monkeypatch):
    put_objects(address, "bucket", {"a": b"1"})
    with pytest.raises(SourceRejectedError, match="no credentials; set AWS_ACCESS_KEY_ID"):
        ask(access_key=None, secret_key=None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["secret_key"])
    ask(access_key=None, secret_key=None)
    assert names(memory) == ["a"]


def test_a_bucket_that_is_not_there_is_told(ask):
    with pytest.raises(SourceRejectedError, match=r"s3://absent at .*: The specified bucket does not exist"):
        ask("s3://absent")


def test_who_may_not_list_is_told_so_and_no_secret_is(ask, address):
    put_objects(address, "bucket", {"a": b"1"})
    with s3_permissions(address), pytest.raises(SourceRejectedError, match="s3://bucket at ") as caught:
        ask()
    assert KEYS["secret_key"] not in str(caught.value)


def test_a_service_that_is_not_there_is_unavailable(look):
    with pytest.raises(SourceUnavailableError, match="s3://bucket at http://localhost:1"):
        look("s3://bucket", endpoint_url="http://localhost:1", **KEYS)


def test_a_service_that_is_overloaded_is_unavailable(look, httpserver):
    httpserver.expect_request("/bucket").respond_with_data("<Error><Code>InternalError</Code></Error>", 500)
    with pytest.raises(SourceUnavailableError):
        look("s3://bucket", endpoint_url=httpserver.url_for(""), **KEYS)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"<a/>", b"<ListBucketResult><Contents/></ListBucketResult>"]
)
def test_a_service_that_answers_nonsense_gives_nothing(look, httpserver, memory, body):
    httpserver.expect_request("/bucket").respond_with_data(body)
    with suppress(SourceRejectedError, SourceUnavailableError):
        look("s3://bucket", endpoint_url=httpserver.url_for(""), **KEYS)
    assert memory.items == {}


def test_a_listing_that_leads_back_ends_with_what_was_there_and_is_told(look, httpserver, memory):
    body = """<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>
    <Contents><Key>a.txt</Key><Size>1</Size><ETag>"e"</ETag></Contents></ListBucketResult>"""
    httpserver.expect_request("/bucket").respond_with_data(body, content_type="application/xml")
    strategy = look("s3://bucket", endpoint_url=httpserver.url_for(""), **KEYS)
    assert [*memory.items] == ["s3://bucket/a.txt"]
    assert strategy.problems == [
        "the listing of bucket leads back to a page that was there before; stopped there"
    ]


@pytest.mark.parametrize("endpoint", ["http://10.0.0.1:9000", "http://localhost:9000"])
def test_a_service_in_a_private_network_needs_to_be_allowed(look, memory, endpoint):
    memory.access = replace(memory.access, guard=Guard.allowing(()))
    with pytest.raises(BlockedAddressError, match="CELERIAC_ALLOW_HOSTS"):
        look("s3://bucket", endpoint_url=endpoint, **KEYS)


def test_what_the_library_looks_up_itself_is_guarded_too(address):
    port = address.rpartition(":")[2]
    options = {"endpoint_url": f"http://localhost:{port}", "key": "k", "secret": "s"}
    with pytest.raises(BlockedAddressError), telling("s3"), open_s3(Guard.allowing(()), options) as store:
        store.call_s3("list_objects_v2", Bucket="bucket")


def test_no_proxy_of_the_environment_is_asked(ask, address, memory, monkeypatch, httpserver):
    put_objects(address, "bucket", {"a": b"1"})
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, httpserver.url_for("/"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    ask()
    assert names(memory) == ["a"]
    assert not httpserver.log


@pytest.mark.parametrize(
    ("params", "about"),
    [
        ({"url": "http://a.example/"}, "begins with one of file, memory, s3"),
        ({"url": "simplecache::s3://a"}, "begins with one of"),
        ({"url": "file://relative"}, "whole path"),
        ({"url": "s3://"}, "which bucket"),
        ({"url": "s3://a", "access_key": "k"}, "belong together"),
        ({"url": "s3://a", **KEYS, "anonymous": True}, "no use"),
        ({"url": "s3://a", "endpoint_url": "ftp://a"}, "endpoint_url"),
        ({"url": "s3://a", "endpoint_url": "http://k:s@a"}, "endpoint_url"),
        ({"url": "s3://a", "endpoint_url": "http://two words"}, "not an http or https address"),
        ({"url": "s3://a", "endpoint_url": "http://a:99999"}, "not an http or https address"),
    ],
)
def test_a_place_that_can_never_be_listed_is_a_mistake_in_jobs_yaml(params, about):
    with pytest.raises(ValidationError, match=about):
        ObjectStore(params)


def test_a_secret_is_in_no_name():
    strategy = ObjectStore({"url": "s3://a", **KEYS})
    assert KEYS["secret_key"] not in f"{strategy._name_source()} {strategy.params!r}"
