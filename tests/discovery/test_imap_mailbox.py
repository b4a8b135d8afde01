from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from mail_server import run_mail_server
from pydantic import ValidationError

from discovery.imap_mailbox import ImapMailbox
from net.guard import Guard
from pipeline.errors import BlockedAddressError, SourceRejectedError, SourceUnavailableError
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture
def server():
    with run_mail_server() as server:
        yield server


@pytest.fixture
def look(server, memory):
    """Discover with the memory of before; the strategy."""

    def look(**params):
        memory.forget_batches()
        return memory.discover(ImapMailbox, {**server.params, **params})

    return look


def found(memory):
    return [item.key for batch in memory.batches for item in batch.items]


def write(number, more=b""):
    return b"Message-ID: <%d@a.example>\r\nSubject: number %d\r\n%b\r\nHello\r\n" % (number, number, more)


# -- what is found ----------------------------------------------------------------------------------------

LETTER = """\
Message-ID: <letter@a.example>
From: =?utf-8?q?Ada_L=C3=B6velace?= <ada@a.example>
To: Bob <bob@b.example>, "Carl, Jr." <carl@b.example>
Cc: dora@b.example
Date: Fri, 02 Jan 2026 03:04:05 +0100
Subject: =?iso-8859-1?q?Gr=FC=DFe?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

R3LDvMOfZQo=
--inner
Content-Type: text/html

<p>Gr&uuml;&szlig;e
--inner--
--outer
Content-Type: application/pdf; name="=?utf-8?q?B=C3=BCcher=2Epdf?="
Content-Transfer-Encoding: base64

AAECAwQF
--outer--
""".replace("\n", "\r\n").encode()


def test_a_letter_is_an_item_with_what_a_person_reads_of_it(look, server, memory):
    server.deliver(LETTER)
    look(html=True)
    assert memory.items["letter@a.example"].data == {
        "from": "Ada Lövelace <ada@a.example>",
        "to": ["Bob <bob@b.example>", "Carl, Jr. <carl@b.example>"],
        "cc": ["dora@b.example"],
        "subject": "Grüße",
        "published_at": "2026-01-02T02:04:05+00:00",
        "text": "Grüße\n",
        "html": "<p>Gr&uuml;&szlig;e",
        "attachments": [{"name": "Bücher.pdf", "type": "application/pdf", "size": 6}],
        "size": len(LETTER),
        "truncated": False,
    }


def test_nothing_is_marked_as_seen(look, server):
    server.deliver(write(1), LETTER)
    look()
    assert server.read_flags() == [(b"\\Recent",)] * 2  # not even that somebody has looked is noted


def test_only_what_has_come_since_is_found_the_next_time(look, server, memory):
    server.deliver(write(1), write(2))
    look()
    look()
    assert found(memory) == []
    server.deliver(write(3))
    look()
    assert found(memory) == ["3@a.example"]


def test_that_no_mail_has_come_since_is_no_silence_of_the_mailbox(look, server):
    assert [each.unchanged for each in look().looks.values()] == [False]
    server.deliver(write(1))
    assert [[each.unchanged for each in look().looks.values()] for _ in range(2)] == [[False], [True]]


def test_messages_are_handed_over_in_batches_and_a_killed_discovery_goes_on(look, server, memory):
    server.deliver(*map(write, range(1, 121)))
    with memory.killed_after(2):
        look()
    assert len(memory.items) == 64
    look()
    assert found(memory) == [f"{number}@a.example" for number in range(65, 121)]


def test_only_what_meets_the_criteria_in_the_folder_is_found(look, server, memory):
    server.deliver("Subject: Grüße\r\n\r\n".encode(), write(2), folder="&AMQ-mter")
    look(folder="Ämter", criteria='OR SUBJECT "number" SUBJECT "absent"')
    assert found(memory) == ["2@a.example"]
    look(folder="Ämter", criteria='SUBJECT "Grüße"')
    assert len(found(memory)) == 1


def test_a_folder_that_is_numbered_anew_is_read_again_with_the_same_keys(look, server, memory):
    server.deliver(write(1), b"Subject: without an id\r\n\r\n")
    look()
    keys = found(memory)
    server.number_anew()
    strategy = look()
    assert sorted(found(memory)) == sorted(keys)
    assert "numbered INBOX anew" in strategy.problems[0]
    assert look().problems == []
    assert found(memory) == []


def test_what_arrived_long_before_the_jobs_since_is_not_fetched(look, server, memory):
    with server.session() as client:
        client.append("INBOX", None, '"01-Jan-2020 00:00:00 +0000"', write(1))
    server.deliver(write(2))
    memory.access = replace(memory.access, since=datetime(2024, 1, 1, tzinfo=UTC))
    look()
    assert found(memory) == ["2@a.example"]


# -- hostile messages -------------------------------------------------------------------------------------


def test_of_a_message_of_50_mb_only_the_beginning_is_fetched(look, server, memory):
    huge = b"Message-ID: <huge@a.example>\r\n\r\n" + b"0123456789abcd\r\n" * (50 * 65_536)
    server.deliver(huge, write(2))
    look(max_bytes=65_536)
    data = memory.items["huge@a.example"].data
    assert (data["size"], data["truncated"]) == (len(huge), True)
    assert 65_000 * 14 / 16 < len(data["text"]) <= 65_536
    assert found(memory) == ["huge@a.example", "2@a.example"]


def test_a_text_of_a_megabyte_is_cut_and_still_let_in(look, server, memory):
    server.deliver(b"Message-ID: <1@a>\r\nContent-Type: text/html\r\n\r\n" + b'"<p>\x01\xc3\xbc' * 120_000)
    assert look(html=True).refused == {}
    assert memory.items["1@a"].data["truncated"]


def test_bytes_in_headers_that_are_in_no_known_encoding_are_read_all_the_same(look, server, memory):
    headers = b"Subject: Gr\xfc\xdfe\r\nFrom: M\xfcller <m@a>\r\nTo: \xff\xfe, =?x?q?=ZZ?= <b@b>\r\n\r\n"
    server.deliver(b"Message-ID: <1@a>\r\n" + headers)
    look()
    data = memory.items["1@a"].data
    assert (data["subject"], data["from"]) == ("Grüße", "Müller <m@a>")


@pytest.mark.parametrize(
    "message",
    [
        b"Message-ID: <1@a>\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\nno boundary at all",
        b"Message-ID: <1@a>\r\nContent-Type: multipart/mixed\r\n\r\n--x\r\n",
        b"Message-ID: <1@a>\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xff\x00",
        b"Message-ID: <1@a>\r\nContent-Transfer-Encoding: base64\r\n\r\n=====!",
        b"Message-ID: <1@a>\r\nDate: 99 Foo 99999\r\nFrom: <<<>>>,,;\r\nSubject: =?utf-8?b?!!?=\r\n\r\n",
        b"Message-ID: <1@a>\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nx",
        b"Message-ID: <1@a>\r\nContent-Type: a/b; name*0*=utf-8''%zz; name*9999999=x\r\n\r\n",
    ],
)
def test_a_message_that_is_broken_is_an_item_like_any_other(look, server, memory, message):
    server.deliver(message, write(2))
    look()
    assert found(memory) == ["1@a", "2@a.example"]


def test_a_message_nested_beyond_reading_is_found_by_its_headers_and_counted(look, server, memory):
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3000)
    )
    server.deliver(b"Message-ID: <deep@a>\r\nSubject: deep\r\n" + nested)
    strategy = look()
    assert memory.items["deep@a"].data["subject"] == "deep"
    assert strategy.refused == {"message that could not be read whole": 1}


def test_messages_without_a_usable_id_have_keys_of_their_own(look, server, memory):
    server.deliver(
        b"Subject: a\r\n\r\n", b"Message-ID: <>\r\n\r\n", b"Message-ID: <" + b"x" * 2000 + b">\r\n\r\n"
    )
    look()
    assert len({key for key in found(memory) if key.startswith("sha256:")}) == 3


# -- servers ----------------------------------------------------------------------------------------------


def test_a_wrong_password_is_told_and_is_in_no_message(look):
    with pytest.raises(SourceRejectedError, match="mailbox ada at localhost: ") as caught:
        look(password="not-the-password")  # noqa: S106
    assert "not-the-password" not in str(caught.value)


def test_a_folder_and_criteria_that_are_not_there_are_told(look):
    with pytest.raises(SourceRejectedError, match="doesn't exist"):
        look(folder="Absent")
    with pytest.raises(SourceRejectedError, match="Unknown"):
        look(criteria="NONSENSE")


def test_a_certificate_that_nobody_trusts_is_refused(look):
    with pytest.raises(SourceRejectedError, match="certificate is not to be trusted"):
        look(ca_file=None)
    with pytest.raises(SourceRejectedError, match="cannot use the certificate in"):
        look(ca_file="/nowhere.pem")


@pytest.mark.parametrize("security", ["starttls", "plain"])
def test_other_connections_work_on_this_machine(look, server, memory, security):
    server.deliver(write(1))
    look(security=security, port=server.plain_port)
    assert found(memory) == ["1@a.example"]


def test_a_plain_connection_leaves_this_machine_only_when_told(memory):
    memory.access = replace(memory.access, guard=Guard.allowing(["192.0.2.0/24"]))
    params = {"host": "192.0.2.1", "user": "ada", "password": "x", "security": "plain"}
    with pytest.raises(SourceRejectedError, match="reads the password"):
        memory.discover(ImapMailbox, params)


def test_a_server_in_a_private_network_needs_to_be_allowed(server, memory):
    memory.access = replace(memory.access, guard=Guard.allowing(()))
    with pytest.raises(BlockedAddressError, match="CELERIAC_ALLOW_HOSTS"):
        memory.discover(ImapMailbox, server.params)


def test_a_server_that_goes_away_in_the_middle_is_unavailable_and_what_came_before_stays(
    look, server, memory
):
    server.deliver(*map(write, range(1, 121)))
    receive, memory.receive = memory.receive, lambda batch: (receive(batch), server.stop())
    with pytest.raises(SourceUnavailableError, match="mailbox ada at localhost"):
        look()
    assert len(memory.items) == 32
    assert next(iter(memory.cursors.values()))["uid"] == 32


def test_a_server_that_is_not_there_is_unavailable(server, look):
    server.stop()
    with pytest.raises(SourceUnavailableError, match="refused"):
        look()


@contextmanager
def scripted(*answers):
    """Run a server that says each answer after a line from the client, `%t` being the line's tag, and goes away."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_play, args=(listener, answers))
        thread.start()
        yield {"host": "127.0.0.1", "port": listener.getsockname()[1], "security": "plain", "user": "a"}
        thread.join(PATIENCE_SECONDS)


def _play(listener, answers):
    conn, _ = listener.accept()
    with conn, conn.makefile("rwb") as stream:
        tag = b""
        with suppress(OSError):  # the client has heard enough
            for answer in answers:
                stream.write(answer.replace(b"%t", tag))
                stream.flush()
                tag = stream.readline().split(b" ")[0]


READY = b"* OK [CAPABILITY IMAP4rev1] ready\r\n"
CAPABLE = b"* CAPABILITY IMAP4rev1\r\n%t OK done\r\n"
LOGGED_IN = b"%t OK in\r\n"
OPENED = b"* 1 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n%t OK [READ-ONLY]\r\n"


SEARCHED = b"* SEARCH 1 x 99999999999\r\n%t OK done\r\n"
UNASKED = b"* 1 FETCH (FLAGS ())\r\n* 9 FETCH (UID 9 BODY[]<0> {1}\r\nx)\r\n"


@pytest.mark.parametrize(
    ("answers", "error", "said"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], SourceUnavailableError, "mailbox a at"),
        ([b"\xff\xff\xff\r\n"], SourceUnavailableError, "mailbox a at"),
        ([READY, b"x" * 2_000_000], SourceRejectedError, "more than it was asked for"),
        ([READY, CAPABLE, b"* BYE\r\n"], SourceUnavailableError, "mailbox a at"),
        ([b"* BYE too many connections\r\n"], SourceUnavailableError, r"127\.0\.0\.1: \* BYE too many"),
        ([READY, CAPABLE, LOGGED_IN, OPENED, b"* BYE idle\r\n"], SourceUnavailableError, "idle"),
        ([READY, CAPABLE, b"%t NO [UNAVAILABLE] later\r\n"], SourceUnavailableError, "later"),
        ([READY, CAPABLE, LOGGED_IN, b"%t NO no\r\n"], SourceRejectedError, "NO no"),
        (
            [READY, CAPABLE, LOGGED_IN, OPENED, SEARCHED, b"* 1 FETCH (BODY[] {5000000000}\r\n"],
            SourceRejectedError,
            "more than it was asked for",
        ),
    ],
)
def test_a_server_that_answers_nonsense_is_told(memory, answers, error, said):
    with scripted(*answers) as params, pytest.raises(error, match=said):
        memory.discover(ImapMailbox, {**params, "password": "x"})
    assert memory.items == {}


def test_a_message_that_the_server_cannot_give_is_passed_over(memory):
    opening = READY, CAPABLE, LOGGED_IN, OPENED, b"* SEARCH 1 2\r\n%t OK done\r\n"
    fetched = b"* 2 FETCH (UID 2 BODY[]<0> {18}\r\nMessage-ID: <2@a>\n)\r\n%t OK done\r\n"
    with scripted(*opening, b"%t NO broken\r\n", b"%t NO broken\r\n", fetched) as params:
        strategy = memory.discover(ImapMailbox, {**params, "password": "x"})
    assert list(memory.items) == ["2@a"]
    assert strategy.problems == ["message 1 is passed over: the mailbox a at 127.0.0.1: NO broken"]


def test_answers_that_nobody_asked_for_are_no_messages(memory):
    fetched = UNASKED + b"* 1 FETCH (BODY[]<0> NIL UID 1)\r\n%t OK done\r\n"
    with scripted(READY, CAPABLE, LOGGED_IN, OPENED, SEARCHED, fetched) as params:
        memory.discover(ImapMailbox, {**params, "password": "x"})
    assert len(memory.items) == 1


@pytest.mark.parametrize(
    ("params", "about"),
    [
        ({"criteria": "ALL\r\nA1 DELETE INBOX"}, "line break"),
        ({"folder": "a\nb"}, "line break"),
        ({"password": "a\r\nb"}, "line break"),
        ({"host": "a b"}, "host"),
        ({"host": "imap.example.org:993"}, "its port is `port`"),
        ({"host": "imap..example.org"}, "no name of a mail server"),
        ({"max_bytes": 1}, "max_bytes"),
    ],
)
def test_what_would_be_another_command_or_is_no_host_is_a_mistake_in_jobs_yaml(params, about):
    with pytest.raises(ValidationError, match=about):
        ImapMailbox({"host": "a", "user": "b", "password": "c", **params})


def test_the_password_is_in_no_name():
    strategy = ImapMailbox({"host": "a.example", "user": "b@c", "password": "secret"})
    assert "secret" not in f"{strategy._name_source()} {strategy.params!r} {strategy._make_account().name}"
