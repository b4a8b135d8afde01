"""The handler `pdf_text`, on files plain, locked, broken and made to harm."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime, timedelta

import pytest
from pdfs import make_bomb, make_pdf

from handlers.pdf_text import PdfText
from handlers.running import run_handler
from pipeline.outcomes import GiveUp, Skip
from tracker.endings import make_signature


@pytest.fixture
def read(make_context):
    """Read a PDF as the artifact of a stage `fetch`."""

    def run(body: bytes, *, deadline: datetime | None = None, name: str = "roots.pdf", **params):
        kept = make_context().artifact(name, body, "application/pdf")
        results = {"fetch": {"url": "https://garden.example/roots.pdf", "body": kept}}
        context = make_context(results=results, **({} if deadline is None else {"deadline": deadline}))
        return run_handler(PdfText(params), context)

    return run


def test_the_text_comes_page_by_page_with_what_the_file_says_of_itself(read):
    assert read(make_pdf("Roots keep.", "Stalks do not.", title="On roots", author="Rosa Luna")) == {
        "text": "Roots keep.\n\nStalks do not.",
        "title": "On roots",
        "author": "Rosa Luna",
        "created_at": "2026-03-04T05:06:07+00:00",
        "pages": 2,
        "pages_read": 2,
        "words": 5,
        "url": "https://garden.example/roots.pdf",
    }


def test_a_file_in_base64_is_read_too(make_context):
    body = base64.b64encode(make_pdf("Roots")).decode()
    context = make_context(results={"mail": {"body_base64": body}}, data={"title": "Mine"})
    result = run_handler(PdfText({}), context)
    assert (result["text"], result["title"], result["url"]) == ("Roots", "Mine", None)


def test_only_so_many_pages_and_so_much_text_are_read(read):
    pages = [f"Page {number}" for number in range(9)]
    few = read(make_pdf(*pages), max_pages=2)
    assert (few["pages"], few["pages_read"], few["text"]) == (9, 2, "Page 0\n\nPage 1")
    little = read(make_pdf(*pages), max_chars=8)
    assert (little["pages_read"], little["text"]) == (2, "Page 0\n\nPa")


@pytest.mark.parametrize(
    ("password", "said"),
    [(None, "it is encrypted, and opens only with a password"), ("wrong", "opens with another password")],
)
def test_a_locked_file_is_given_up_with_a_clear_word(read, password, said):
    outcome = read(make_pdf("secret", password="geheim"), password=password)  # noqa: S106
    assert isinstance(outcome, GiveUp)
    assert said in outcome.reason


@pytest.mark.parametrize("password", ["geheim", ""])
def test_a_locked_file_opens_with_its_password(read, password):
    assert read(make_pdf("Roots", password=password), password=password or None)["text"] == "Roots"


@pytest.mark.parametrize("body", [b"", b"junk", b"%PDF-1.7\n", make_pdf("Roots")[:200]])
def test_what_is_no_whole_pdf_is_given_up(read, body):
    assert read(body) == GiveUp("'roots.pdf' cannot be read: it is no PDF, or a broken one")


def test_files_that_are_given_up_for_one_reason_are_one_group_of_failures(read):
    for body, params in ((b"junk", {}), (make_pdf("Roots"), {"max_bytes": 10})):
        reasons = [read(body, name=name, **params).reason for name in ("roots.pdf", "report of may.pdf")]
        assert len({make_signature("GiveUp", reason) for reason in reasons}) == 1


def test_a_scan_is_skipped(read):
    assert read(make_pdf("", "")) == Skip("no text in the 2 pages of 'roots.pdf'; it may be a scan")


def test_a_file_beyond_the_limit_is_given_up_unopened(read):
    assert "more than max_bytes (10)" in read(make_pdf("Roots"), max_bytes=10).reason


def test_a_file_that_unfolds_beyond_all_memory_costs_only_its_reader(read):
    outcome = read(make_bomb(200), max_memory_mib=256)
    assert isinstance(outcome, GiveUp)
    assert "needed more than max_memory_mib (256)" in outcome.reason


@pytest.mark.parametrize("limit", ["params", "deadline"])
def test_a_file_that_takes_too_long_is_given_up_in_time(read, limit):
    bomb = make_bomb(60)  # some ten seconds
    if limit == "params":
        outcome = read(bomb, max_seconds=0.5, max_memory_mib=8192)
    else:
        outcome = read(bomb, deadline=datetime.now(UTC) + timedelta(seconds=1.5), max_memory_mib=8192)
    assert isinstance(outcome, GiveUp)
    assert "it took longer than" in outcome.reason


def test_the_reader_does_not_know_the_secrets_of_the_environment(read, monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        f"import os\nopen({str(tmp_path / 'seen')!r}, 'w').write(repr(dict(os.environ)))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret-of-the-worker")
    assert read(make_pdf("Roots"))["text"] == "Roots"
    seen = (tmp_path / "seen").read_text()
    assert os.environ["PATH"] in seen
    assert "s3cret-of-the-worker" not in seen


@pytest.mark.parametrize(
    ("results", "ending"),
    [
        ({}, Skip("no result to work on")),
        ({"fetch": {"text": "x"}}, GiveUp("no file in the results of: fetch; set `needs` or `file_from`")),
    ],
)
def test_without_a_file_it_says_so(make_context, results, ending):
    assert run_handler(PdfText({}), make_context(results=results)) == ending


def test_a_file_that_is_gone_is_given_up(make_context):
    pointer = {"artifact": "sha256:" + "0" * 64, "name": "gone.pdf", "bytes": 7}
    context = make_context(results={"fetch": {"body": pointer}})
    assert isinstance(run_handler(PdfText({}), context), GiveUp)
