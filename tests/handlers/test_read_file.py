"""The handler `read_file`, on real files."""

from __future__ import annotations

import hashlib
import os

import pytest
from pdfs import make_pdf
from pydantic import ValidationError

from handlers.pdf_text import PdfText
from handlers.places import ItemFiles
from handlers.read_file import ReadFile
from handlers.running import run_handler
from pipeline.outcomes import GiveUp
from tracker.endings import make_signature


@pytest.fixture
def read(tmp_path, make_context):
    """Write a file, or take what is there under its name, and read it."""

    def run(body: bytes | None, name: str = "a.txt", **params):
        path = tmp_path / name
        if body is not None:
            path.write_bytes(body)
        context = make_context(data={"path": str(path)}, item_files=ItemFiles(tmp_path))
        return run_handler(ReadFile(params), context)

    return run


def test_a_text_file_is_read(read, tmp_path):
    body = "Grüße\nzwei\n".encode()
    assert read(body) == {
        "path": str(tmp_path / "a.txt"),
        "text": "Grüße\nzwei\n",
        "bytes": len(body),
        "lines": 2,
        "sha256": hashlib.sha256(body).hexdigest(),
        "encoding": "utf-8",
    }


def test_any_file_is_kept_for_a_handler_that_works_on_files(read, make_context):
    body = make_pdf("Roots keep.")
    kept = read(body, "roots.pdf", as_file=True)
    assert (kept["bytes"], kept["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert (kept["body"]["name"], kept["body"]["content_type"]) == ("roots.pdf", "application/pdf")
    assert run_handler(PdfText({}), make_context(results={"read_file": kept}))["text"] == "Roots keep."


@pytest.mark.parametrize(("body", "lines"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"\n\n", 2)])
def test_lines_are_counted_as_an_editor_counts_them(read, body, lines):
    assert read(body)["lines"] == lines


def test_windows_newlines_become_unix_newlines_but_the_hash_is_the_files(read):
    result = read(b"a\r\nb\rc\n")
    assert result["text"] == "a\nb\nc\n"
    assert result["bytes"] == 7
    assert result["sha256"] == hashlib.sha256(b"a\r\nb\rc\n").hexdigest()


def test_a_python_file_is_read_in_the_encoding_that_it_declares(read):
    result = read("# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1"), "a.py")
    assert result["encoding"] == "iso-8859-1"
    assert "é" in result["text"]


def test_the_cookie_of_a_python_file_means_nothing_in_another_file(read):
    assert "is not utf-8" in read("# coding: latin-1\né".encode("latin-1")).reason


@pytest.mark.parametrize("name", ["a.py", "a.txt"])
def test_a_byte_order_mark_is_no_part_of_the_text(read, name):
    assert read(b"\xef\xbb\xbfx = 1\n", name)["text"] == "x = 1\n"


def test_a_python_file_that_declares_an_unknown_encoding_is_given_up(read):
    assert "unknown encoding: uft-8" in read(b"# coding: uft-8\n", "a.py").reason


@pytest.mark.parametrize("declared", ["rot13", "hex", "undefined"])
def test_a_python_file_that_declares_what_turns_no_bytes_into_text_is_given_up(read, declared):
    assert f"cannot be read as {declared}" in read(f"# coding: {declared}\n".encode(), "a.py").reason


def test_a_file_in_another_encoding_than_assumed_is_given_up_with_the_place(read):
    assert "is not utf-8: invalid start byte at byte 2; set `encoding`" in read(b"ab\xff").reason


def test_the_encoding_may_be_set(read):
    assert read(b"\xe9", encoding="latin-1")["text"] == "é"


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "rot13"])
def test_an_encoding_that_does_not_exist_or_is_none_is_refused_in_jobs_yaml(encoding):
    with pytest.raises(ValidationError, match="write for example utf-8 or latin-1"):
        ReadFile({"encoding": encoding})


def test_a_missing_file_is_given_up(read, tmp_path):
    assert read(None) == GiveUp(f"'{tmp_path / 'a.txt'}' does not exist")


@pytest.mark.parametrize(("body", "params"), [(None, {}), (b"\xff", {}), (b"x" * 11, {"max_bytes": 10})])
def test_files_that_are_given_up_for_one_reason_are_one_group_of_failures(read, body, params):
    reasons = [read(body, name, **params).reason for name in ("a.txt", "notes of may.txt")]
    assert len({make_signature("GiveUp", reason) for reason in reasons}) == 1


def test_a_path_through_a_file_is_given_up(read):
    read(b"x")
    assert "does not exist" in read(None, "a.txt/b").reason


def test_a_name_too_long_for_any_file_is_given_up(read):
    assert "the name is too long" in read(None, "x" * 5000).reason


def test_a_file_larger_than_the_limit_is_given_up(read):
    assert read(b"x" * 10, max_bytes=10)["bytes"] == 10
    assert "is larger than 10 bytes; raise max_bytes" in read(b"x" * 11, max_bytes=10).reason


def test_a_directory_is_given_up(read, tmp_path):
    (tmp_path / "a.txt").mkdir()
    assert "is a directory" in read(None).reason


def test_a_named_pipe_is_given_up_without_waiting_for_it(read, tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    assert "is not a regular file" in read(None).reason


def test_an_endless_device_is_given_up(make_context):
    assert "is not a regular file" in run_handler(ReadFile({"path": "/dev/zero"}), make_context()).reason


def test_a_link_that_leads_to_itself_is_given_up(read, tmp_path):
    (tmp_path / "a.txt").symlink_to("a.txt")
    assert "leads through too many symbolic links" in read(None).reason


@pytest.fixture
def forbidden_file(tmp_path):
    """Make a file that may not be read, and be nobody meanwhile if we are root, who may read everything."""
    (tmp_path / "a.txt").write_bytes(b"x")
    (tmp_path / "a.txt").chmod(0)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65_534)
    yield
    os.seteuid(before)


def test_a_forbidden_file_is_given_up(read, forbidden_file):
    assert "may not be read by this user" in read(None).reason


@pytest.mark.parametrize("name", ["path", "folder"])
def test_a_path_with_a_nul_in_it_is_refused_when_the_file_is_checked(name):
    with pytest.raises(ValidationError, match="a path cannot hold the character NUL"):
        ReadFile({name: "a\0b"})


@pytest.mark.parametrize("data", [{}, {"path": None}, {"path": 7}, {"path": ""}, {"path": "a\0b"}])
def test_an_item_without_a_usable_path_is_given_up(make_context, data):
    assert "no path: set the parameter `path`" in run_handler(ReadFile({}), make_context(data=data)).reason


def test_the_parameter_goes_before_the_items_own_path(make_context, tmp_path):
    (tmp_path / "b").write_text("mine")
    context = make_context(data={"path": "/nonexistent"})
    assert run_handler(ReadFile({"path": str(tmp_path / "b")}), context)["text"] == "mine"


# -- what an item may name --------------------------------------------------------------------------------


@pytest.fixture
def send(tmp_path, make_context):
    """Have a path read that an item names, as whoever may send one in can, of a job whose files are in `papers`."""
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "a.txt").write_text("mine")
    (tmp_path / "secret.key").write_text("secret")

    def run(path, root=tmp_path / "papers", data=None, **params):
        files = ItemFiles(root, data)
        return run_handler(ReadFile(params), make_context(data={"path": str(path)}, item_files=files))

    return run


@pytest.mark.parametrize(
    "path", ["../secret.key", "/etc/passwd", "/dev/zero", "/etc/no-such-file", "x/../../secret.key"]
)
def test_an_item_cannot_name_what_lies_outside_of_its_folder_nor_learn_whether_it_is_there(send, path):
    outcome = send(path)
    assert outcome.reason.startswith(f"{path!r} is not among the files below ")


@pytest.mark.parametrize("made", ["papers/link", "papers/in/link"])
def test_a_link_that_leads_out_of_the_folder_is_not_followed(send, tmp_path, made):
    (tmp_path / "papers" / "in").mkdir()
    (tmp_path / made).symlink_to(tmp_path)
    assert "is not among the files" in send(tmp_path / made / "secret.key").reason


def test_a_link_that_stays_in_the_folder_is_followed(send, tmp_path):
    (tmp_path / "papers" / "same.txt").symlink_to("a.txt")
    (tmp_path / "other").symlink_to("papers")
    assert send("same.txt")["text"] == "mine"
    assert send(tmp_path / "other" / "a.txt", root=tmp_path / "other")["text"] == "mine"


def test_a_relative_path_is_one_below_the_folder(send):
    assert send("a.txt")["text"] == "mine"


def test_without_a_folder_no_path_of_an_item_is_read_until_the_stage_names_one(send, tmp_path):
    assert "set `folder`" in send(tmp_path / "papers" / "a.txt", root=None).reason
    assert send("a.txt", root=None, folder=str(tmp_path / "papers"))["text"] == "mine"


def test_the_folder_of_the_stage_goes_before_that_of_the_job(send, tmp_path):
    assert send("secret.key", folder=str(tmp_path))["text"] == "secret"


def test_the_data_folder_is_closed_to_items_unless_their_own_folder_is_in_there(send, tmp_path):
    (tmp_path / "data" / "files").mkdir(parents=True)
    (tmp_path / "data" / "dashboard.key").write_text("secret")
    (tmp_path / "data" / "files" / "a.txt").write_text("mine")
    data = tmp_path / "data"
    assert "is not among" in send("data/dashboard.key", root=tmp_path, data=data).reason
    assert "is not among" in send("dashboard.key", root=data, data=data).reason
    assert send("a.txt", root=data / "files", data=data)["text"] == "mine"


def test_the_folder_itself_is_no_file(send):
    assert "is a directory" in send(".").reason
