"""A mail server for tests: Dovecot, on ports of its own, with what it needs in a folder that goes with it."""

from __future__ import annotations

import datetime as dt
import grp
import imaplib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import find_free_port
from tests.waiting import PATIENCE_SECONDS

DOVECOT = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
PASSWORD = 'se"cret ü'  # noqa: S105 - of a mailbox that is gone in a moment

CONFIGURATION = """
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
first_valid_gid = 1
mail_driver = maildir
mail_path = {folder}/mail
mail_home = {folder}/mail
mail_uid = {user}
mail_gid = {group}
auth_mechanisms = plain
auth_allow_cleartext = yes
auth_failure_delay = 0
ssl = yes
ssl_server_cert_file = {folder}/certificate.pem
ssl_server_key_file = {folder}/key.pem
passdb passwd-file {{
  passwd_file_path = {folder}/users
}}
userdb static {{
}}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
"""


@dataclass(frozen=True)
class MailServer:
    """A running Dovecot with one mailbox, ada's."""

    folder: Path
    plain_port: int
    tls_port: int
    process: subprocess.Popen

    @property
    def params(self):
        """Parameters of an `imap_mailbox` that reads it."""
        return {
            "host": "localhost",
            "port": self.tls_port,
            "user": "ada",
            "password": PASSWORD,
            "ca_file": self.folder / "certificate.pem",
        }

    @contextmanager
    def session(self):
        """Be in the mailbox, as somebody who may write."""
        client = imaplib.IMAP4("127.0.0.1", self.plain_port, timeout=PATIENCE_SECONDS)
        client.authenticate("PLAIN", lambda _: f"\0ada\0{PASSWORD}".encode())
        try:
            yield client
        finally:
            client.logout()

    def deliver(self, *messages, folder="INBOX"):
        """Put messages into a folder, unseen."""
        with self.session() as client:
            for message in messages:
                status, told = client.append(folder, None, None, message)
                assert status == "OK", told

    def read_validity(self):
        """Read by which number the server knows its numbering of the inbox."""
        with self.session() as client:
            return client.status("INBOX", "(UIDVALIDITY)")[1][0]

    def number_anew(self):
        """Let it forget how it numbered the messages: it names a numbering by the second, so another must have come."""
        before, until = self.read_validity(), time.monotonic() + PATIENCE_SECONDS
        while self.read_validity() == before:
            assert time.monotonic() < until
            for path in (self.folder / "mail").glob("dovecot*"):
                path.unlink(missing_ok=True)
            time.sleep(0.1)

    def read_flags(self):
        """Read the flags of every message in the inbox."""
        with self.session() as client:
            client.select("INBOX", readonly=True)
            return [imaplib.ParseFlags(each) for each in client.fetch("1:*", "(FLAGS)")[1] if each]

    def stop(self):
        """Kill it, with all its processes."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)


@contextmanager
def run_mail_server():
    """Run a mail server while the block runs; skips the test where none is installed."""
    if DOVECOT is None or _version() < (2, 4):
        pytest.skip("needs Dovecot 2.4: apt-get install dovecot-imapd")
    folder = Path(tempfile.mkdtemp(prefix="dovecot-"))
    owner = (
        pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    )  # it reads no mail as root
    try:
        plain_port, tls_port = find_free_port(), find_free_port()
        _furnish(folder, owner, plain_port, tls_port)
        process = subprocess.Popen(
            [DOVECOT, "-F", "-c", folder / "dovecot.conf"],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **_become(owner),
        )
        server = MailServer(folder, plain_port, tls_port, process)
        try:
            _wait_until_it_answers(server)
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _version():
    told = subprocess.run([DOVECOT, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(number) for number in told.split()[0].split("-")[0].split(".")[:2])


def _become(owner):
    if os.getuid() != 0:
        return {}
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _furnish(folder, owner, plain_port, tls_port):
    certificate, key = make_certificate()
    (folder / "certificate.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    (folder / "users").write_text(f"ada:{{PLAIN}}{PASSWORD}:::::\n")
    group = grp.getgrgid(owner.pw_gid).gr_name
    places = {"folder": folder, "user": owner.pw_name, "group": group}
    text = CONFIGURATION.format(**places, plain_port=plain_port, tls_port=tls_port)
    (folder / "dovecot.conf").write_text(text)
    for path in (folder, *folder.iterdir()):
        os.chown(path, owner.pw_uid, owner.pw_gid)


def _wait_until_it_answers(server):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with server.session() as client:
                client.create("Ämter".encode("utf-7").replace(b"+", b"&"))
                return
        except (OSError, imaplib.IMAP4.abort) as error:
            if time.monotonic() > deadline or server.process.poll() is not None:
                log = server.folder / "log"
                pytest.fail(f"Dovecot does not start: {error}\n{log.read_text() if log.exists() else ''}")


def make_certificate():
    """Make a certificate for this machine that nobody trusts yet, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem), private
