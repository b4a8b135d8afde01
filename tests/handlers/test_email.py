"""The handlers `email` and `notify`, against real servers."""

from __future__ import annotations

import socket
import threading

import pytest
from pydantic import ValidationError
from smtp_server import Mailbox, make_certificate, serving

from handlers.email import Email
from handlers.notify import Notify
from handlers.running import run_handler
from pipeline.errors import SourceUnavailableError
from pipeline.outcomes import GiveUp, RetryLater

USUAL = {
    "host": "localhost",
    "security": "none",
    "sender": "Celeriac <c@example.org>",
    "to": ["a@example.org"],
}
WORDS = {"subject": "{{ item.title }}", "text": "Read {{ item.title }}."}
LOGIN = {"user": "me", "password": "open sesame"}


@pytest.fixture
def mailbox():
    with serving() as mailbox:
        yield mailbox


@pytest.fixture
def send(make_context):
    def run(mailbox, data=None, given=None, **params):
        given = {"data": {"title": "Roots"} | (data or {}), "stage": "tell"} | (given or {})
        return run_handler(Email({**USUAL, **WORDS, "port": mailbox.port, **params}), make_context(**given))

    return run


@pytest.fixture
def trusted(tmp_path, monkeypatch):
    """Make a certificate that this process trusts; the server's context."""
    path, context = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return context


# -- the message ------------------------------------------------------------------------------------------


def test_a_mail_arrives_as_written(mailbox, send):
    more = {"cc": ["B <b@example.org>"], "bcc": ["c@example.org"], "reply_to": "r@example.org"}
    result = send(mailbox, {"title": "Grüße", "a": "a@example.org"}, to=["Änne <{{ item.a }}>"], **more)
    (message,) = mailbox.messages
    assert (message["Subject"], message["To"], message["Cc"]) == (
        "Grüße",
        "Änne <a@example.org>",
        "B <b@example.org>",
    )
    assert (message["From"], message["Reply-To"], message["Bcc"]) == (USUAL["sender"], "r@example.org", None)
    assert message.get_content().strip() == "Read Grüße."
    assert message["Auto-Submitted"] == "auto-generated"
    receivers = ["a@example.org", "b@example.org", "c@example.org"]
    assert mailbox.envelopes[0].rcpt_tos == receivers
    assert result == {"message_id": message["Message-ID"], "sent_to": receivers, "refused": {}}


def test_html_escapes_what_strangers_wrote_and_has_a_text_beside_it(mailbox, send):
    send(mailbox, {"title": "<script>&"}, html="<b>{{ item.title }}</b>")
    (message,) = mailbox.messages
    assert message.get_body(("html",)).get_content().strip() == "<b>&lt;script&gt;&amp;</b>"
    assert message.get_body(("plain",)).get_content().strip() == "Read <script>&."


def test_a_repeat_has_the_same_message_id_and_other_content_another(mailbox, send):
    names = [
        send(mailbox, data, given)["message_id"]
        for data, given in [
            ({}, {}),
            ({}, {"attempt": 2}),
            ({"title": "Other"}, {}),
            ({}, {"stage": "again"}),
            ({}, {"key": "k2"}),
            ({}, {"job": "j2"}),
        ]
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 5
    assert names[0].endswith("@example.org>")


def test_a_long_line_and_many_of_them_arrive_whole(mailbox, send):
    text = "x" * 5000 + "\n.\n..dots\nFrom me\n" + "ü" * 5000
    send(mailbox, {"title": text}, subject="s", text="{{ item.title }}")
    assert mailbox.messages[0].get_content().replace("\r\n", "\n").rstrip("\n") == text


@pytest.mark.parametrize("hostile", ["Roots\r\nBcc: evil@example.org", "a\nb", "a\0b", "a\u2028b", "a\x85b"])
def test_a_line_break_in_a_header_is_given_up_and_nothing_is_sent(mailbox, send, hostile):
    for params in ({}, {"subject": "s", "to": ["{{ item.title }} <a@example.org>"]}):
        outcome = send(mailbox, {"title": hostile}, **params)
        assert isinstance(outcome, GiveUp)
        assert "line break or another control character" in outcome.reason
    assert mailbox.envelopes == []


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        "nobody",
        "a@",
        "@b",
        "a@example.org, evil@example.org",
        "a@example.org evil@x.org",
        "g: a@x.org, b@x.org;",
        "<a@example.org>> evil",
        "a@example.org>\tRCPT TO:<evil@x.org",
        "a" * 300 + "@",
        "<",
        '"',
        "(",
        "a@example.org " + "(" * 3000 + ")" * 3000,
    ],
)
def test_what_is_not_one_address_is_given_up(mailbox, send, hostile):
    outcome = send(mailbox, {"to": hostile}, to=["{{ item.to }}"])
    assert isinstance(outcome, GiveUp)
    assert outcome.reason.startswith("to ")
    assert mailbox.envelopes == []


def test_what_a_template_wants_and_is_not_there_is_given_up_by_name(mailbox, send):
    assert "did you mean 'title'?" in send(mailbox, text="{{ item.titel }}").reason


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"text": None}, "a text, or html"),
        ({"user": "me"}, "user and password go together"),
        (LOGIN, "over an encrypted connection only"),
        ({"host": "mail..example.org"}, "no name of a mail server"),
        ({**LOGIN, "security": "tls", "user": "käthe"}, "are sent as ASCII"),
        ({**LOGIN, "security": "tls", "password": "öffne Sesam"}, "are sent as ASCII"),
        ({"host": "mail.example.org:25"}, "its port is `port`"),
        ({"host": "smtp://mail.example.org"}, "no name of a mail server"),
        ({"to": []}, "at least 1"),
        ({"to": ["me@example.org, you@example.org"]}, "not one mail address"),
        ({"sender": "Celeriac"}, "not one mail address"),
        ({"cc": [""]}, "not one mail address"),
        ({"subject": "{{ titel }}"}, "knows no 'titel'"),
    ],
)
def test_mistakes_are_found_before_anything_is_sent(params, told):
    with pytest.raises(ValidationError, match=told) as refused:
        Email({**USUAL, **WORDS, **params})
    assert "open sesame" not in str(refused.value)


# -- the server -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_the_connection_is_encrypted_and_the_server_gets_the_password(trusted, send, security):
    options = (
        {"tls_context": trusted, "auth_required": True}
        if security == "starttls"
        else {"ssl_context": trusted, "auth_require_tls": False}
    )
    with serving(**options) as mailbox:
        send(mailbox, security=security, **LOGIN)
        assert (len(mailbox.messages), mailbox.logins) == (1, [(b"me", b"open sesame")])


def test_a_wrong_password_is_given_up_and_not_told(trusted, send):
    with serving(auth_required=True, tls_context=trusted) as mailbox:
        outcome = send(mailbox, security="starttls", **LOGIN | {"password": "open barley"})
    assert isinstance(outcome, GiveUp)
    assert "535" in outcome.reason
    assert "barley" not in outcome.reason


def test_a_server_without_encryption_gets_neither_password_nor_mail(mailbox, send):
    assert "STARTTLS" in send(mailbox, security="starttls", **LOGIN).reason
    assert (mailbox.logins, mailbox.envelopes) == ([], [])


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path, send):
    _, context = make_certificate(tmp_path)
    with serving(tls_context=context) as mailbox, pytest.raises(SourceUnavailableError, match="certificate"):
        send(mailbox, security="starttls")
    assert mailbox.envelopes == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("450 greylisted", RetryLater), ("550 no such user", GiveUp), ("421 busy", RetryLater)],
)
def test_a_refused_receiver_ends_it_by_the_servers_code(send, answer, kind):
    with serving(Mailbox(answers={"a@example.org": answer})) as mailbox:
        outcome = send(mailbox)
    assert type(outcome) is kind
    assert f"a@example.org: {answer}" in outcome.reason


@pytest.mark.parametrize(("answer", "kind"), [("452 no room", RetryLater), ("554 spam", GiveUp)])
def test_a_refused_message_ends_it_by_the_servers_code(send, answer, kind):
    with serving(Mailbox(to_data=answer)) as mailbox:
        assert type(send(mailbox)) is kind


def test_who_is_refused_for_good_stands_in_the_result_beside_those_who_got_it(send):
    with serving(Mailbox(answers={"b@example.org": "550 no such user"})) as mailbox:
        result = send(mailbox, to=["a@example.org", "b@example.org"])
    assert (result["sent_to"], result["refused"]) == (
        ["a@example.org"],
        {"b@example.org": "550 no such user"},
    )


def test_who_is_refused_for_now_gets_it_later_and_the_others_not_twice(send):
    to = ["a@example.org", "b@example.org"]
    with serving(Mailbox(answers={"b@example.org": "450 greylisted"})) as mailbox:
        assert isinstance(send(mailbox, to=to), RetryLater)
        assert isinstance(send(mailbox, to=to), RetryLater)
        del mailbox.answers["b@example.org"]
        assert send(mailbox, to=to)["sent_to"] == to
        assert [envelope.rcpt_tos for envelope in mailbox.envelopes] == [["a@example.org"], ["b@example.org"]]
        send(mailbox, to=to)  # whoever resets the stage wants it sent again
        assert mailbox.envelopes[2].rcpt_tos == to


def test_who_was_refused_for_good_is_not_asked_again_and_stands_in_the_last_result(send):
    to = ["a@example.org", "b@example.org", "c@example.org"]
    with serving(Mailbox(answers={to[1]: "550 no such user", to[2]: "450 greylisted"})) as mailbox:
        assert isinstance(send(mailbox, to=to), RetryLater)
        mailbox.answers.clear()
        result = send(mailbox, to=to)
        assert [envelope.rcpt_tos for envelope in mailbox.envelopes] == [[to[0]], [to[2]]]
    assert (result["sent_to"], result["refused"]) == ([to[0], to[2]], {to[1]: "550 no such user"})


def test_no_server_is_left_to_the_stages_retries(send):
    with socket.socket() as taken_but_not_listening:
        taken_but_not_listening.bind(("127.0.0.1", 0))
        with pytest.raises(SourceUnavailableError, match="localhost cannot be talked to"):
            send(Mailbox(port=taken_but_not_listening.getsockname()[1]))


def test_a_server_that_hangs_up_after_taking_it_has_it(send):
    """A server that takes the message, and then does not answer QUIT."""
    script = [b"250 hi\r\n", b"250 from\r\n", b"250 to\r\n", b"354 go\r\n", b"250 taken\r\n"]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            client, _ = server.accept()
            with client, client.makefile("rb") as lines:
                client.sendall(b"220 hi\r\n")
                for answer in script[:4]:
                    lines.readline()
                    client.sendall(answer)
                while lines.readline() != b".\r\n":
                    pass
                client.sendall(script[4])

        thread = threading.Thread(target=serve)
        thread.start()
        assert send(Mailbox(port=server.getsockname()[1]))["sent_to"] == ["a@example.org"]
        thread.join()


# -- notify -----------------------------------------------------------------------------------------------


@pytest.fixture
def notify(make_context):
    def run(**params):
        context = make_context(data={"title": "Roots", "nl": "a\nb"}, stage="tell")
        return run_handler(Notify({"message": "Read {{ item.title }}.", **params}), context)

    return run


def mail_to(mailbox, **more):
    return {**USUAL, "port": mailbox.port, **more}


def test_one_message_goes_over_every_channel(httpserver, mailbox, notify):
    httpserver.expect_request("/chat", json={"text": "New a b\nRead Roots."}).respond_with_data("ok")
    httpserver.expect_request("/other").respond_with_json({})
    result = notify(
        title="New {{ item.nl }}",
        webhook=httpserver.url_for("/chat"),
        mail=mail_to(mailbox),
        apprise=[httpserver.url_for("/other").replace("http:", "json:")],
    )
    assert result["channels"] == ["webhook", "mail", "apprise 1"]
    assert (mailbox.messages[0]["Subject"], mailbox.messages[0].get_content().strip()) == (
        "New a b",
        "Read Roots.",
    )
    assert httpserver.log[1][0].json["message"] == "Read Roots."


def test_a_channel_that_fails_keeps_no_other_from_its_message_and_is_tried_alone(httpserver, mailbox, notify):
    params = {"webhook": httpserver.url_for("/chat"), "mail": mail_to(mailbox)}
    httpserver.expect_oneshot_request("/chat").respond_with_data(status=429, headers={"retry-after": "60"})
    outcome = notify(**params)
    assert isinstance(outcome, RetryLater)
    assert outcome.delay == 60
    assert "webhook: " in outcome.reason
    httpserver.expect_request("/chat").respond_with_data("ok")
    assert notify(**params)["channels"] == ["webhook", "mail"]
    assert (len(mailbox.envelopes), len(httpserver.log)) == (1, 2)


def test_a_failure_that_may_pass_goes_before_one_for_good(httpserver, mailbox, notify):
    httpserver.expect_request("/gone").respond_with_data(status=404)
    mailbox.answers["a@example.org"] = "450 later"
    assert isinstance(notify(webhook=httpserver.url_for("/gone"), mail=mail_to(mailbox)), RetryLater)
    mailbox.answers["a@example.org"] = "550 never"
    outcome = notify(webhook=httpserver.url_for("/gone"), mail=mail_to(mailbox))
    assert isinstance(outcome, GiveUp)
    assert "webhook: " in outcome.reason
    assert "mail: " in outcome.reason


def test_an_apprise_service_that_does_not_take_it_is_left_to_the_stages_retries(httpserver, notify):
    httpserver.expect_request("/other").respond_with_data(status=500)
    with pytest.raises(SourceUnavailableError, match="apprise 1: JSON did not take it"):
        notify(apprise=[httpserver.url_for("/other").replace("http:", "json:")])


def test_what_is_no_apprise_url_is_given_up_without_being_told(notify):
    outcome = notify(apprise=["nonsense-s3cret"])
    assert isinstance(outcome, GiveUp)
    assert "s3cret" not in outcome.reason


@pytest.mark.parametrize("webhook", ["chat.example.org/s3cret", "ftp://s3cret", "{{ item.s3cret }}"])
def test_where_a_message_is_posted_is_a_web_address(webhook):
    with pytest.raises(ValidationError, match="webhook is not an http or https address") as refused:
        Notify({"message": "x", "webhook": webhook})
    assert "s3cret" not in str(refused.value)


def test_there_must_be_a_channel():
    with pytest.raises(ValidationError, match="there is no channel"):
        Notify({"message": "x"})
