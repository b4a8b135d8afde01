"""A real SMTP server, for the tests of what sends mail."""

from __future__ import annotations

import email
import email.policy
import ssl
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

MAKE = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")


@dataclass
class Mailbox:
    """What came, and how the server answers: by address to RCPT, and to DATA."""

    port: int = 0
    envelopes: list = field(default_factory=list)
    answers: dict = field(default_factory=dict)
    to_data: str = "250 OK"
    logins: list = field(default_factory=list)

    @property
    def messages(self):
        return [
            email.message_from_bytes(each.content, policy=email.policy.default) for each in self.envelopes
        ]

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802 - aiosmtpd's name
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        if self.to_data.startswith("250"):
            self.envelopes.append(envelope)
        return self.to_data

    def authenticate(self, _server, _session, _envelope, _mechanism, data):
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"open sesame", handled=False)


class AnyPort(Controller):
    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def serving(mailbox=None, **options):
    """Serve SMTP on this machine until the block ends."""
    mailbox = mailbox or Mailbox()
    controller = AnyPort(mailbox, hostname="127.0.0.1", port=0, authenticator=mailbox.authenticate, **options)
    controller.start()
    try:
        mailbox.port = controller.port
        yield mailbox
    finally:
        controller.stop()


def make_certificate(folder, name="localhost"):
    """Make a certificate that signs itself; its file, its key's file and a server's context with it."""
    files = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *MAKE,
            "-subj",
            f"/CN={name}",
            "-addext",
            f"subjectAltName=DNS:{name}",
            "-out",
            files[0],
            "-keyout",
            files[1],
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return files[0], context
