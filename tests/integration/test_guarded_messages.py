"""A broker behind TLS, and messages that are signed: what the others may read, and whom they believe."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elsewhere import FarHost, Relay, SameNetwork

pytest.importorskip("cryptography", reason="signed messages and test certificates need the extra `signed`")

from certificates import make_server, make_signer
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from runner.broker import is_reachable
from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import House

JOBS = """
version: 1
jobs:
  far:
    discovery: {strategy: manual, items: [a, b, c]}
    schedule: {every: 1h}
    stages:
      - {name: near, handler: python, params: {function: "steps:near"}}
      - {name: away, handler: python, params: {function: "steps:away"}, queue: far, remote: true}
"""

STEPS = """
def near(context): return {"key": context.key}
def away(context): return {"after": context.results["near"]["key"]}
"""

SIGNED_PICKLE = """
import sys
from celery.security.serialization import SecureSerializer
from kombu.serialization import registry, loads
import tasks
serializer = registry._decoders["application/data"].__closure__
from celery.security.key import PrivateKey
from celery.security.certificate import Certificate
import os
sign = SecureSerializer(
    PrivateKey(open(os.environ["CELERIAC_SIGNING_KEY"]).read()),
    Certificate(open(os.environ["CELERIAC_SIGNING_CERTIFICATE"]).read()),
    serializer="pickle",
)
class Bomb:
    def __reduce__(self): return (print, ("BANG",))
body = sign.serialize(Bomb())
try:
    loads(body, "application/data", "utf-8", accept={"application/data"})
except Exception as error:
    print("refused", error)
"""


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    folder = tmp_path / "certificates"
    make_server(folder, "localhost")
    for name in ("near", "far"):
        make_signer(folder / "signers", name)
    make_signer(folder / "strangers", "stranger")
    return folder


@pytest.fixture
def home(house: House, certificates: Path) -> Iterator[House]:
    """A house whose broker is reached by TLS alone."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "localhost.pem", certificates / "localhost.key")
    relay = Relay(socket.create_server(("127.0.0.1", 0)), f"{house.socket_directory}/broker.sock", context)
    url = f"rediss://localhost:{relay.port}/0?ssl_cert_reqs=required&ssl_ca_certs={certificates}/ca.pem"
    house.environment["CELERIAC_BROKER_URL"] = url
    house.write_module("steps", STEPS)
    house.write_jobs(JOBS)
    yield house
    house.close()
    relay.close()


def signing(certificates: Path, name: str, group: str = "signers") -> dict[str, str]:
    """Say in the environment by which key somebody signs, and whom they trust."""
    folder = certificates / group
    return {
        "CELERIAC_SIGNING_KEY": str(folder / f"{name}.key"),
        "CELERIAC_SIGNING_CERTIFICATE": str(folder / f"{name}.pem"),
        "CELERIAC_SIGNING_TRUSTED": str(folder / "*.pem"),
    }


def start_far(home: House, **given: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="far-", dir=home.directory))
    (folder / "steps.py").write_text(STEPS)
    url = home.environment["CELERIAC_BROKER_URL"]
    FarHost(home, SameNetwork(), folder, CELERIAC_BROKER_URL=url, **given).start_worker(
        "far", "--concurrency", "1"
    )


def away(home: House) -> int:
    return home.count("SELECT sum(done) FROM stage_counts WHERE stage = 'away'")


def call_discover(home: House, **signs: str) -> None:
    """Ask for a discovery as somebody would who reached the broker."""
    kept = {name: text for name, text in home.environment.items() if "SIGNING" not in name}
    subprocess.run(
        [sys.executable, "-c", "import tasks; tasks.discover.delay('far')"],
        env={**kept, **signs},
        cwd=home.directory,
        check=True,
        timeout=PATIENCE_SECONDS,
    )


@pytest.mark.timeout(600)
def test_over_tls_near_and_far_work_as_without(home: House) -> None:
    home.start_worker("near")
    home.start_beat()
    start_far(home)
    home.wait(lambda: away(home) == 3)
    assert home.unfinished() == 0


@pytest.mark.parametrize(
    ("query", "reachable"),
    [
        ("?ssl_cert_reqs=required&ssl_ca_certs={ca}", True),
        ("", False),  # not among the certificates that this machine trusts
    ],
)
def test_a_brokers_certificate_is_checked(
    home: House, certificates: Path, query: str, reachable: bool
) -> None:
    url = home.environment["CELERIAC_BROKER_URL"].partition("?")[0]
    url += query.format(ca=certificates / "ca.pem")
    assert is_reachable(url) is reachable
    home.environment["CELERIAC_BROKER_URL"] = url
    told = home.celery("call", "tasks.sweep")
    assert (told.returncode == 0) is reachable, told.stderr
    assert reachable or "CERTIFICATE_VERIFY_FAILED" in told.stderr


@pytest.mark.timeout(600)
def test_signed_messages_are_worked_and_unsigned_and_strangers_refused(
    home: House, certificates: Path
) -> None:
    home.environment.update(signing(certificates, "near"))
    home.start_worker("near")
    beat = home.start_beat()
    start_far(home, **signing(certificates, "far"))
    home.wait(lambda: away(home) == 3)
    beat.kill()
    looks = home.count("SELECT count(*) FROM discovery_runs")
    for signs in ({}, signing(certificates, "stranger", "strangers")):
        call_discover(home, **signs)
    home.wait(lambda: refused(home) >= 2)
    call_discover(home, **signing(certificates, "near"))
    home.wait(lambda: home.count("SELECT count(*) FROM discovery_runs") > looks)
    assert home.count("SELECT count(*) FROM discovery_runs") == looks + 1


def refused(home: House) -> int:
    """Count the messages that the worker refused."""
    log = (home.directory / "worker-0.log").read_text()
    return log.count("The message has been ignored and discarded") + log.count("Can't decode message body")


def test_what_is_signed_and_no_json_is_refused(certificates: Path, house: House) -> None:
    environment = {**house.environment, **signing(certificates, "near")}
    done = subprocess.run(
        [sys.executable, "-c", SIGNED_PICKLE],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.stdout.startswith("refused"), done.stderr
    assert "BANG" not in done.stdout


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("CELERIAC_SIGNING_TRUSTED", "strangers/*.pem", "near.pem, this machine's own, is not among"),
        ("CELERIAC_SIGNING_CERTIFICATE", "signers/far.pem", "far.pem is not of the key"),
        ("CELERIAC_SIGNING_KEY", "signers/near.pem", "messages cannot be signed so"),
        ("CELERIAC_SIGNING_KEY", "locked.key", "messages cannot be signed so"),
    ],
)
def test_a_key_or_a_certificate_that_cannot_be_used_is_told_in_words(
    certificates: Path, house: House, name: str, value: str, told: str
) -> None:
    key = load_pem_private_key((certificates / "signers/near.key").read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (certificates / "locked.key").write_bytes(locked)
    house.environment.update(signing(certificates, "near") | {name: str(certificates / value)})
    house.write_jobs(JOBS)
    worker = house.celeriac("worker", "--remote", "--queues", "far")
    assert worker.returncode != 0
    assert told in worker.stderr
    assert "Traceback" not in worker.stderr
