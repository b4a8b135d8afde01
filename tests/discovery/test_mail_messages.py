from __future__ import annotations

import json
import random

import pytest

from discovery.imap_answers import FetchedMail
from discovery.items import MAX_DATA_BYTES
from discovery.mail_messages import read_mail

PIECES = [
    b"Message-ID: <a@b>\r\n",
    b"From: =?utf-8?q?A?= <a@b>, c@d\r\n",
    b"To: " + b"x@y, " * 2000 + b"\r\n",
    b"Subject: =?utf-8?b?4pyT?= =?x?x?x?= \xff\r\n",
    b"Date: Fri, 32 Foo 20266 99:99 +9999\r\n",
    b"Content-Type: multipart/mixed; boundary=x\r\n",
    b"Content-Type: multipart/digest; boundary*0=x; boundary*1=y\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: text/html; charset=utf-7\r\n",
    b"Content-Type: text/plain; charset*=''%zz; name*0*=idna''%ff\r\n",
    b'Content-Disposition: attachment; filename="=?utf-16?b?/w==?="\r\n',
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: uuencode\r\n",
    b"\r\n",
    b"--x\r\n",
    b"--x--\r\n",
    b"--xy\r\n",
    b"begin 666 a\r\n#86)C\r\n",
    b"QUJD=\r\n",
    b"<p>\x00\xff&#xD800;</p>" * 50,
]


def read(raw):
    return read_mail(FetchedMail(1, len(raw), "", raw), with_html=True)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_in_a_message_it_can_be_stored(seed):
    chance = random.Random(seed)
    for _ in range(100):
        pieces = bytearray(b"".join(chance.choices(PIECES, k=chance.randrange(1, 40))))
        for _ in range(chance.randrange(20)):
            pieces[chance.randrange(len(pieces))] = chance.randrange(256)
        mail = read(bytes(pieces))
        assert 0 < len(mail.key.encode()) <= 1024
        assert len(json.dumps(mail.data, ensure_ascii=False).encode()) <= MAX_DATA_BYTES


def test_the_largest_headers_texts_and_attachments_together_can_be_stored():
    attached = b"--x\r\nContent-Type: a/" + b"b" * 200 + b"\r\nContent-Disposition: attachment; filename="
    name = "=?utf-8?q?" + "=F0=9F=A5=95" * 300 + "?="
    people = b"To: " + ", ".join(f"{name} <{n}@{'y' * 250}>" for n in range(100)).encode()
    text = b"--x\r\nContent-Type: text/%b\r\n\r\n" + b'"' * 900_000 + b"\r\n"
    raw = b"Message-ID: <1@a>\r\nContent-Type: multipart/mixed; boundary=x\r\n" + people
    raw += people.replace(b"To:", b"\r\nCc:") + b"\r\n\r\n" + text % b"plain" + text % b"html"
    raw += (attached + name.encode() + b"\r\n\r\nx\r\n") * 200
    assert len(json.dumps(read(raw).data, ensure_ascii=False).encode()) <= MAX_DATA_BYTES


def test_what_an_attached_message_says_is_not_said_by_the_one_around_it():
    inner = b"Subject: inner\r\n\r\nnot mine\r\n"
    raw = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nmine\r\n--x\r\n"
    data = read(raw + b"Content-Type: message/rfc822\r\n\r\n" + inner + b"--x--\r\n").data
    assert data["text"] == "mine"
    (attached,) = data["attachments"]
    assert attached["type"] == "message/rfc822"
    assert attached["size"] > 20


@pytest.mark.parametrize("address", [b"(" * 9000, b"a:" * 3000, b"a@b " + b"(" * 3000 + b")" * 3000])
def test_addresses_nested_beyond_reading_are_none_and_the_rest_is_read(address):
    data = read(b"Subject: deep\r\nTo: " + address + b"\r\nCc: c@d\r\n\r\nHello").data
    assert (data["to"], data["cc"], data["subject"], data["text"]) == ([], ["c@d"], "deep", "Hello")


def test_of_html_alone_the_text_is_read():
    raw = b"Content-Type: text/html\r\n\r\n<style>p{}</style><p>One <b>two</b><p>three"
    assert read(raw).data["text"] == "One two three"


def test_the_key_is_the_same_however_much_was_fetched():
    raw = b"Subject: no id\r\n\r\n" + b"x" * 200_000
    assert read(raw).key == read(raw[:100_000]).key
