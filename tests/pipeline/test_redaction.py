"""Secrets kept out of what is written down."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from pydantic import BaseModel, SecretStr

from pipeline.redaction import Redactor, has_password, list_spellings, strike_out

SECRET = 'p@ss/"wörd"\\ 42'  # noqa: S105 - the one that is looked for


@pytest.fixture
def redactor():
    made = Redactor()
    made.learn("TOKEN", SECRET, is_secret=True)
    made.learn("SITE", "https://example.org", is_secret=False)
    return made


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").replace("%2F", "%2f").replace("%C3%B6", "%c3%b6").replace("%5C", "%5c"),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        repr(SECRET)[1:-1],
        html.escape(SECRET),
    ],
)
def test_a_secret_is_written_as_its_variable_however_it_is_spelled(redactor, spelled):
    assert redactor.hide(f"GET /x?key={spelled}&n=1") == "GET /x?key=${TOKEN}&n=1"


@pytest.mark.parametrize("before", [b"", b"u:", b"user:", b"me:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_is_found_wherever_in_a_base64_text_it_begins(redactor, before, encode):
    hidden = redactor.hide(f"Basic {encode(before + SECRET.encode() + b'!').decode()}")
    assert "${TOKEN}" in hidden
    assert len(hidden) < len("Basic ${TOKEN}") + 12


def test_the_lines_of_a_long_secret_are_secret_too(redactor):
    redactor.learn("PEM", "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEFAA\n", is_secret=True)
    assert (
        redactor.hide("bad line kqhkiG9w0BAQEFAA in -----BEGIN KEY-----")
        == "bad line ${PEM} in -----BEGIN KEY-----"
    )


@pytest.mark.parametrize("short", ["", "1", "true", "12345"])
def test_what_is_short_is_struck_out_of_nothing(redactor, short):
    redactor.learn("N", short, is_secret=True)
    assert redactor.hide(f"{short} of 123456 are true") == f"{short} of 123456 are true"
    assert list_spellings(short) == ()


def test_of_two_secrets_the_longer_is_struck_out_whole(redactor):
    redactor.learn("A", "abcdef", is_secret=True)
    redactor.learn("B", "abcdefghi", is_secret=True)
    assert redactor.hide("abcdefghi abcdef") == "${B} ${A}"


def test_a_result_loses_secrets_and_keeps_what_is_none(redactor):
    result = {"url": "https://example.org/a", SECRET: [1, {"deep": f"x{SECRET}"}], "n": 4.5, "none": None}
    assert redactor.hide_in(result) == {
        "url": "https://example.org/a",
        "${TOKEN}": [1, {"deep": "x${TOKEN}"}],
        "n": 4.5,
        "none": None,
    }
    assert redactor.hide("https://example.org/a") == "${SITE}/a"


def test_a_result_without_a_secret_is_given_back_as_it_is(redactor):
    result = {"text": "nothing here"}
    assert redactor.hide_in(result) is result


def test_a_number_that_is_a_secret_becomes_its_variable_and_the_result_stays_json(redactor):
    redactor.learn("PIN", "123456", is_secret=True)
    assert redactor.hide_in({"pin": 123456, "other": 12}) == {"pin": "${PIN}", "other": 12}


def test_what_a_secret_field_holds_is_a_secret_and_so_is_the_variable_in_it(redactor):
    class Params(BaseModel):
        auth: SecretStr
        more: list[SecretStr]

    redactor.learn("LANG", "a-plain-value", is_secret=False)
    redactor.learn_model(Params(auth="Bearer a-plain-value", more=["written-down"]))
    shown = redactor.hide_in({"a": "Bearer a-plain-value", "b": "a-plain-value", "c": "written-down"})
    assert shown == {"a": "***", "b": "${LANG}", "c": "***"}


def test_the_password_in_an_address_is_a_secret_by_itself(redactor):
    address = "postgres://me:hunter2-hunter@db/x"
    assert has_password(address)
    redactor.learn("DB", address, is_secret=True)
    assert redactor.hide("no entry with hunter2-hunter") == "no entry with ***"
    assert redactor.hide(f"cannot reach {address}") == "cannot reach ${DB}"


def test_a_single_secret_can_be_struck_out():
    assert strike_out("a s3cret+1 or s3cret%2B1", "s3cret+1", "${K}") == "a ${K} or ${K}"
