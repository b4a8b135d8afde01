from __future__ import annotations

from smtp_server import Mailbox, make_certificate, serving

TEXTS = {"subject": "{{ item.title }}", "text": "{{ item.title }}: {{ results.summarise_text.summary }}"}


def make_sample(house):
    trusted, server = make_certificate(house.folder)
    house.setenv("SSL_CERT_FILE", str(trusted))
    mailbox = house.closing.enter_context(serving(tls_context=server, auth_required=True))
    return send_to(mailbox, security="starttls", user="me", password="open sesame")  # noqa: S106 - opens this test only


def make_endings(house):
    busy = house.closing.enter_context(serving(Mailbox(answers={"a@example.org": "450 come again"})))
    closed = house.closing.enter_context(serving(Mailbox(answers={"a@example.org": "550 no such user"})))
    return {"later": send_to(busy), "never": send_to(closed), "unexpected": send_to(Mailbox(port=1))}


def send_to(mailbox, **more):
    server = {"host": "localhost", "port": mailbox.port, "security": "none", **more}
    return {
        "params": {**server, "sender": "Celeriac <c@example.org>", "to": ["a@example.org"], **TEXTS},
        "data": {"title": "Roots"},
        "results": {"summarise_text": {"summary": "They keep."}},
    }
