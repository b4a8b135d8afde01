from __future__ import annotations

import codecs
from datetime import UTC, datetime

import pytest

from net.charset import decode
from net.charset_labels import CODECS, READ_AS, find_codec
from net.client import MIB
from net.fetched import Fetched
from net.refusals import read_retry_after
from pipeline.errors import SourceRejectedError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def fetched(body, content_type=""):
    return Fetched("http://example.org/", 200, {"content-type": content_type}, body, NOW)


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("naïve".encode(), "", "naïve"),
        ("naïve".encode("latin-1"), "", "naïve"),
        ("“naïve”".encode("cp1252"), "text/html; charset=ISO-8859-1", "“naïve”"),
        ("日本".encode("shift_jis"), 'text/html; charset="Shift_JIS"', "日本"),
        (b'<meta charset="koi8-r">' + "да".encode("koi8-r"), "text/html", '<meta charset="koi8-r">да'),
        (
            b'<?xml version="1.0" encoding="koi8-r"?>' + "да".encode("koi8-r"),
            "",
            '<?xml version="1.0" encoding="koi8-r"?>да',
        ),
        (codecs.BOM_UTF8 + "naïve".encode(), "text/html; charset=iso-8859-1", "naïve"),
        ("naïve".encode("utf-16"), "", "naïve"),
        ("naïve!".encode(), "text/html; charset=utf-16", "naïve!"),
        (b"<p>even", "text/html; charset=utf-16", "<p>even"),
        ("naïve".encode("utf-16-le"), "text/html; charset=utf-16le", "naïve"),
        ("naïve".encode(), "text/html; charset=no-such", "naïve"),
        (b"<meta charset=utf-16>" + "é!".encode(), "", "<meta charset=utf-16>é!"),
        (b"+ADw-script+AD4-", "text/html; charset=utf-7", "+ADw-script+AD4-"),
        (b"", "text/html; charset=punycode", ""),
        ("“naïve”".encode("cp1252") + b"\x81", "", "“naïve”\ufffd"),
        (bytes(range(256)), "", bytes(range(256)).decode("cp1252", "replace")),
        ("中文镕基".encode("gbk"), "text/html; charset=gb2312", "中文镕基"),
        ("①".encode("cp932"), "text/html; charset=x-sjis", "①"),
        ("똠".encode("cp949"), "text/html; charset=euc-kr", "똠"),
        ("“ğ”".encode("cp1254"), "text/html; charset=iso-8859-9", "“ğ”"),
        ("Привет".encode("koi8-r"), "text/html; charset=koi", "Привет"),
        ("ééééé".encode() + b"\xff", "text/html; charset=utf-8", "ééééé\ufffd"),
        (
            b"<meta charset=iso-8859-1>" + "ééééé".encode() + b"\xff",
            "text/html; charset=utf-8",
            "<meta charset=iso-8859-1>ééééé\ufffd",
        ),
        ("ééééé".encode() + b"\xff", "", "ééééé\ufffd"),
        ("中文镕基中文".encode("gbk") + b"\xff", "text/html; charset=gb2312", "中文镕基中文\ufffd"),
        (codecs.BOM_UTF8 + b"one\xff", "", "one\ufffd"),
        ("“It\u2019s”".encode("cp1252"), "text/html; charset=utf-8", "“It\u2019s”"),
        ("日本語、中文".encode(), "text/html; charset=gb2312", "日本語、中文"),
        ("“naïve”".encode(), "text/html; charset=iso-8859-1", "“naïve”"),
        (
            b"<meta charset=windows-1251>" + "Привет".encode("cp1251"),
            "text/html; charset=utf-8",
            "<meta charset=windows-1251>Привет",
        ),
    ],
)
def test_the_bytes_are_read_in_the_charset_that_fits(body, content_type, text):
    assert fetched(body, content_type).text == text


def test_every_label_of_a_charset_leads_to_its_codec():
    assert {label: find_codec(label.upper()) for label in CODECS} == CODECS
    assert {find_codec(name) for name in READ_AS} == set(READ_AS.values())


def test_a_charset_declared_far_down_is_not_looked_for():
    assert decode(b" " * 3000 + b"<meta charset=koi8-r>" + "é".encode()).endswith("é")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_not_json_is_rejected(body):
    with pytest.raises(SourceRejectedError, match=r"example\.org/ did not answer with JSON"):
        fetched(body).json()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"[" + b"{}," * 600_000 + b"{}]", "over 1,000,000 values"),
        (b" " * (32 * MIB + 1), "over 33,554,432 bytes"),
    ],
)
def test_json_that_would_take_too_much_memory_is_not_read(body, told):
    with pytest.raises(SourceRejectedError, match=told):
        fetched(body).json()


def test_large_json_is_read():
    assert len(fetched(b"[" + b"{}," * 400_000 + b"{}]").json()) == 400_001


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Sun, 01 Mar 2026 12:01:30 GMT", 90.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("Sun, 01 Mar 2026 12:01:30 -0000", 90.0),
        ("", None),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("Fri, 31 Dec 99999999999999 23:59:59 GMT", None),
        ("Fri, 31 Dec 2030 23:59:59 +99999999999999", None),
    ],
)
def test_a_wait_is_read_as_seconds_or_as_a_date(header, seconds):
    assert read_retry_after(header, NOW) == seconds
