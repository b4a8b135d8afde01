"""
Requests that change something at the far end: how they are signed, recognised when repeated, sent and judged.

Source: the Standard Webhooks specification, github.com/standard-webhooks/standard-webhooks; for the header
`Idempotency-Key`, the IETF draft draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from handlers.templates import IS_TEMPLATE, check_address, check_template, is_constant, render
from net.field_values import can_be_header
from pipeline.errors import SourceRejectedError
from pipeline.outcomes import GiveUp

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydantic import BaseModel

    from handlers.base import HandlerContext
    from net.client import Fetched

SECRET_BYTES = range(24, 65)
"""How long the specification wants a signing secret to be."""

_ASKS = frozenset({"GET", "HEAD"})


def _check_template(secret: SecretStr) -> SecretStr:
    check_template(secret.get_secret_value())
    return secret


def _check_address(secret: SecretStr) -> SecretStr:
    check_address(secret.get_secret_value())
    return secret


def _check_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, template in headers.items():
        text = template.get_secret_value()
        if not can_be_header(name, text.strip() if is_constant(text) else ""):
            raise ValueError(f"{name!r} is no header: its name or value cannot stand in one")
    return headers


def _check_signing_secret(secret: SecretStr) -> SecretStr:
    decode_secret(secret.get_secret_value())
    return secret


SecretTemplate = Annotated[SecretStr, AfterValidator(_check_template), IS_TEMPLATE]
"""The type of a parameter that is a template and may hold a secret, so that it is shown nowhere."""

SecretAddress = Annotated[SecretTemplate, AfterValidator(_check_address)]
"""The type of a parameter that is such a template, for a web address."""

Headers = Annotated[dict[str, SecretTemplate], AfterValidator(_check_headers)]
"""The type of a parameter that holds headers by name, each such a template."""

SigningSecret = Annotated[SecretStr, AfterValidator(_check_signing_secret)]
"""The type of a parameter that is a signing secret: `whsec_` and 24 to 64 bytes in Base64."""


def decode_secret(secret: str) -> bytes:
    """Decode a signing secret. Raises ValueError saying what one is."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) not in SECRET_BYTES:
        raise ValueError("a signing secret is whsec_ and 24 to 64 random bytes in Base64")
    return key


def sign(secret: str, identity: str, timestamp: int, body: bytes) -> str:
    """
    Sign a body as `webhook-signature` says it.

    >>> sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_1", 1614265330, b"{}")
    'v1,ZztYR0IIDCBCUcYzh8ZE+qsQWpIgtHU7R1hpe8htaD4='
    """
    signed = b".".join((identity.encode(), str(timestamp).encode(), body))
    digest = hmac.new(decode_secret(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def identify(context: HandlerContext, *content: str | bytes) -> str:
    """
    Name what is sent: the same for each attempt to send the same content for this item at this stage.

    40 letters and digits; it tells nothing of what it is made of.
    """
    digest = hashlib.sha256()
    for part in (context.job, context.key, context.stage, *content):
        raw = part.encode("utf-8", "replace") if isinstance(part, str) else part
        digest.update(b"%d:%b" % (len(raw), raw))
    return digest.hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it will be sent, templates rendered."""

    method: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def render_url(template: SecretStr, context: HandlerContext, params: BaseModel) -> str | GiveUp:
    """Render the template of an address."""
    text = render(template.get_secret_value(), context, params)
    return text if isinstance(text, GiveUp) else text.strip()


def render_headers(
    templates: Mapping[str, SecretStr], context: HandlerContext, params: BaseModel
) -> dict[str, str] | GiveUp:
    """Render the templates of headers; GiveUp for one that would not stay in its line."""
    headers = {}
    for name, template in templates.items():
        text = render(template.get_secret_value(), context, params)
        if isinstance(text, GiveUp):
            return text
        value = text.strip()
        if not can_be_header(name, value):
            return GiveUp(f"no header can be made of {name!r:.80}: its value has a line break or the like")
        headers[name] = value
    return headers


def write_json(value: Any) -> bytes:
    """Write JSON to be sent: the same bytes for the same value."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )


def name_message(context: HandlerContext, request: Request) -> str:
    """Give the `webhook-id` of a request: the same whenever the same is sent."""
    return f"msg_{identify(context, request.method, request.url, request.body)}"


async def send(
    context: HandlerContext,
    request: Request,
    *,
    secret: SecretStr | None = None,
    expected: Collection[int] = (),
    max_bytes: int = 2**20,
) -> Fetched | GiveUp:
    """
    Send a request once, signed if there is a `secret`; the answer if its status is `expected`, or 2xx.

    It carries the name of what is sent as `Idempotency-Key` and, signed, as `webhook-id`. What changes something is
    not sent on where a redirect leads, because most redirects would make a mere question of it. GiveUp for what
    the far end refuses; raises `SourceUnavailableError` as `PoliteClient.fetch` does.
    """
    name = name_message(context, request)
    headers = {"Accept": "*/*", **request.headers}
    if request.method not in _ASKS:
        headers["Idempotency-Key"] = name
    if secret is not None:
        headers |= _make_signature(secret, name, request.body)
    try:
        fetched = await context.http.fetch(
            request.url,
            method=request.method,
            headers=headers,
            content=request.body,
            redirects=request.method in _ASKS,
            statuses_ok=expected,
            max_bytes=max_bytes,
            shown=_show_origin(request.url),
        )
    except SourceRejectedError as error:
        return GiveUp(str(error))
    if expected and fetched.status not in expected:
        return GiveUp(f"answered {fetched.status}, which is none of {', '.join(map(str, sorted(expected)))}")
    return fetched


def _show_origin(url: str) -> str:
    """Leave out of an address all that may be secret: of some, the path is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the address"
    return f"{parts.scheme}://{parts.hostname}/…" if parts.hostname else "the address"


def _make_signature(secret: SecretStr, name: str, body: bytes) -> dict[str, str]:
    now = int(time.time())
    signature = sign(secret.get_secret_value(), name, now, body)
    return {"webhook-id": name, "webhook-timestamp": str(now), "webhook-signature": signature}
