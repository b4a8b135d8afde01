"""Signed messages: each is signed by the process that sends it, and one that nobody trusted signed is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.exceptions import ImproperlyConfigured, SecurityError
from kombu.exceptions import DecodeError
from kombu.serialization import registry  # type: ignore[attr-defined]

from pipeline.errors import OperatorError

if TYPE_CHECKING:
    from celery import Celery

    from pipeline.settings import Settings

SIGNED, CONTENT_TYPE = "auth", "application/data"
"""The name of Celery's serializer that signs, and what its messages are sent as."""


def sign_messages(app: Celery, settings: Settings) -> None:
    """
    Sign what this process sends, and have it accept nothing but JSON that a trusted certificate's owner signed.

    Raises `OperatorError` when the package is missing, or a key or certificate cannot be used.
    """
    try:
        from celery.security import serialization  # noqa: PLC0415 - needs an extra
        from cryptography import x509  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    except (ImportError, ImproperlyConfigured) as error:
        raise OperatorError("signed messages need: pip install 'celeriac[signed]'") from error
    key, certificate = settings.signing_key, settings.signing_certificate
    assert key is not None  # noqa: S101 - the settings belong together
    assert certificate is not None  # noqa: S101
    try:
        own = x509.load_pem_x509_certificate(certificate.read_bytes())
        if load_pem_private_key(key.read_bytes(), None).public_key() != own.public_key():
            raise OperatorError(f"CELERIAC_SIGNING_CERTIFICATE: {certificate} is not of the key {key}")
        serialization.register_auth(
            key.read_text(), None, certificate.read_text(), settings.signing_trusted, serializer="json"
        )
        serializer: Any = registry._decoders[CONTENT_TYPE].__self__  # noqa: SLF001 - there is no other way to it
        if serializer._cert.get_id() not in {one.get_id() for one in serializer._cert_store.itercerts()}:  # noqa: SLF001
            trusted = settings.signing_trusted
            raise OperatorError(
                f"CELERIAC_SIGNING_TRUSTED: {certificate}, this machine's own, is not among {trusted}"
            )
        _accept_json_alone()
        _try_out()
    except (OSError, SecurityError, DecodeError, ValueError, TypeError) as error:
        raise OperatorError(f"CELERIAC_SIGNING_…: messages cannot be signed so: {error}") from error
    app.conf.update(task_serializer=SIGNED, event_serializer=SIGNED, accept_content=[SIGNED])


def _accept_json_alone() -> None:
    """Refuse what is signed and no JSON: Celery's own would load whatever a signer says that it is."""
    read: Any = registry._decoders[CONTENT_TYPE]  # noqa: SLF001 - there is no other way to it
    serializer = read.__self__

    def read_json(data: Any) -> Any:
        found = serializer._unpack(data)["content_type"]  # noqa: SLF001
        if found != "application/json":
            raise SecurityError(f"a signed message of {found} is not accepted")
        return read(data)

    registry._decoders[CONTENT_TYPE] = read_json  # noqa: SLF001


def _try_out() -> None:
    """See that what this process signs is trusted where it trusts, too. Raises `SecurityError`."""
    content_type, encoding, body = registry.dumps([], serializer=SIGNED)
    registry.loads(body, content_type, encoding, accept={content_type})
