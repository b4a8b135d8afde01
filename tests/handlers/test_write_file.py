"""The handler `write_file`, on real folders."""

from __future__ import annotations

import os
import resource
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import ValidationError

from handlers.running import run_handler
from handlers.write_file import WriteFile
from pipeline.outcomes import GiveUp


@pytest.fixture
def files(make_context):
    """The folder that files are written into."""
    return make_context().find_folder("files")


@pytest.fixture
def write(make_context):
    """Write `content` to `path`."""

    def run(path, content="roots", *, data=None, results=None, **params):
        given = {"path": path, **({} if "value" in params else {"content": content}), **params}
        return run_handler(WriteFile(given), make_context(data=data or {}, results=results or {}))

    return run


def list_files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_a_template_is_written_to_a_templated_path(write, files):
    result = write("{{ job }}/{{ item.key }}.md", "# {{ item.title }}\n", data={"title": "Knöllchen"})
    assert result["path"] == "files/demo/k1.md"
    assert (files / "demo" / "k1.md").read_bytes() == "# Knöllchen\n".encode()
    assert result["bytes"] == 13


def test_a_field_of_a_result_is_written_by_what_it_is(write, files, make_context):
    pointer = make_context().artifact("a.bin", b"\0\1")
    results = {"fetch": {"text": "text", "body": pointer, "list": [1, {"ü": None}]}}
    write("text", value="results.fetch.text", results=results)
    write("bytes", value="results.fetch.body", results=results)
    write("json", value="results.fetch.list", results=results)
    assert (files / "text").read_text() == "text"
    assert (files / "bytes").read_bytes() == b"\0\1"
    assert (files / "json").read_text() == '[\n  1,\n  {\n    "ü": null\n  }\n]\n'


@pytest.mark.parametrize(
    "path",
    [
        "../out",
        "a/../../out",
        "a/..",
        "..",
        "/etc/passwd",
        "//etc/passwd",
        "~/out",
        "~root/out",
        "a\\..\\out",
        "",
        " ",
        ".",
        "a/",
        "a/.",
        "a\0b",
        "a\nb",
        "x" * 256,
        "ü" * 128,
        "a/" * 33 + "a",
    ],
)
def test_a_path_that_leads_out_or_names_no_file_is_given_up(write, files, path):
    outcome = write("{{ item.path }}", data={"path": path})
    assert isinstance(outcome, GiveUp)
    assert list_files(files.parent) == []


def test_a_title_with_steps_out_of_the_folder_is_given_up(write):
    outcome = write("notes/{{ item.title }}.md", data={"title": "../../../../etc/cron.d/job"})
    assert "leads out of the folder" in outcome.reason


def test_dots_and_doubled_slashes_lead_nowhere_else(write, files):
    assert write("./a//b/./..c...")["path"] == "files/a/b/..c..."
    assert list_files(files) == ["a/b/..c..."]


@pytest.mark.parametrize("target", ["outside", "inside"])
def test_no_link_is_followed_on_the_way(write, files, tmp_path, target):
    led_to = tmp_path / "elsewhere" if target == "outside" else files / "real"
    led_to.mkdir()
    (files / "link").symlink_to(led_to)
    assert "is a link, or no folder" in write("link/a.txt").reason
    assert list_files(led_to) == []


@pytest.mark.parametrize("exists", [True, False])
def test_no_link_is_written_through(write, files, tmp_path, exists):
    secret = tmp_path / "secret"
    if exists:
        secret.write_text("mine")
    (files / "a.txt").symlink_to(secret)
    assert "is there already, and is a link" in write("a.txt").reason
    assert secret.exists() == exists


def test_a_folder_a_pipe_and_a_file_in_the_way_are_given_up(write, files):
    (files / "folder").mkdir()
    os.mkfifo(files / "pipe")
    (files / "file").write_text("x")
    assert "is a folder" in write("folder").reason
    assert "is no plain file" in write("pipe").reason
    assert "no folder" in write("file/a").reason


def test_the_folder_itself_may_be_a_link_of_the_operators(write, files, tmp_path):
    files.rmdir()
    (tmp_path / "large disk").mkdir()
    files.symlink_to(tmp_path / "large disk")
    assert write("a.txt")["path"] == "files/a.txt"
    assert (tmp_path / "large disk" / "a.txt").read_text() == "roots"


def test_the_same_content_is_left_alone_and_another_replaces_it(write, files):
    write("a.txt")
    os.utime(files / "a.txt", (1, 1))
    inode = (files / "a.txt").stat().st_ino
    write("a.txt")
    assert (files / "a.txt").stat().st_mtime == 1
    assert (files / "a.txt").stat().st_ino == inode
    write("a.txt", "other")
    assert (files / "a.txt").read_text() == "other"
    assert list_files(files) == ["a.txt"]


def test_whoever_reads_meanwhile_reads_one_content_whole(write, files):
    contents = [letter * 200_000 for letter in "abcd"]
    write("a.txt", contents[0])
    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, "a.txt", contents[n % 4]) for n in range(40)]
        while not all(future.done() for future in writing):
            assert (files / "a.txt").read_text() in contents
    assert list_files(files) == ["a.txt"]


def test_a_write_that_fails_leaves_the_file_as_it_was(write, files):
    write("a.txt", "before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write("a.txt", "x" * 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (files / "a.txt").read_text() == "before"
    assert list_files(files) == ["a.txt"]


def test_what_is_not_there_is_given_up_by_its_name(write):
    assert "'titel' is not there" in write("{{ item.titel }}", data={"title": "x"}).reason
    assert "leads to nothing" in write("a", value="results.fetch.body").reason
    gone = {"artifact": "sha256:" + "0" * 64, "name": "x", "bytes": 1}
    assert "is gone" in write("a", value="item.body", data={"body": gone}).reason


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"path": "a"}, "either `content` or `value`"),
        ({"path": "a", "content": "x", "value": "item.x"}, "either `content` or `value`"),
        ({"path": "{{ itm.x }}", "content": "x"}, "knows no 'itm'"),
        ({"path": "a", "value": "itm.x"}, "knows no 'itm'"),
        ({"path": "a", "value": "item..x"}, "not a JMESPath"),
        ({"path": "/srv/a.md", "content": "x"}, "leads out of the folder"),
        ({"path": "notes/", "content": "x"}, "names no file"),
    ],
)
def test_a_mistake_in_jobs_yaml_is_found_before_anything_runs(params, fault):
    with pytest.raises(ValidationError, match=fault):
        WriteFile(params)
