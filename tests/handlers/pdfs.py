"""PDFs made by hand: plain, encrypted, and made to harm."""

from __future__ import annotations

import hashlib
import zlib
from itertools import count

_PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
_ID = b"0123456789abcdef"


def make_pdf(*pages: str, title: str = "", author: str = "", password: str | None = None) -> bytes:
    """Make a PDF with a line of text on each page, encrypted (RC4, 40 bits) if a password is given."""
    streams = [f"BT /F1 12 Tf 72 700 Td ({page}) Tj ET".encode() if page else b"" for page in pages]
    info = f"<</Title ({title}) /Author ({author}) /CreationDate (D:20260304050607Z)>>"
    return _write(streams, "" if password is not None else info, password)


def make_bomb(megabytes: int) -> bytes:
    """Make a PDF of some kilobytes whose page unfolds to so many megabytes of operators."""
    unfolded = b"BT /F1 12 Tf (x) Tj ET " * 45_590
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(unfolded) for _ in range(megabytes)) + packer.flush()
    return _write([packed], "", None, "/Filter /FlateDecode")


def _write(streams: list[bytes], info: str, password: str | None, extra: str = "") -> bytes:
    owner = bytes(32)
    key = None if password is None else _make_key(password, owner)
    numbers = count(4)
    kids, objects = [], {1: b"<</Type /Catalog /Pages 2 0 R>>"}
    objects[3] = b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>"
    for stream in streams:
        page, content = next(numbers), next(numbers)
        body = stream if key is None else _rc4(_make_object_key(key, content), stream)
        resources = "/Resources <</Font <</F1 3 0 R>>>>"
        objects[page] = (
            f"<</Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {resources} /Contents {content} 0 R>>".encode()
        )
        objects[content] = f"<</Length {len(body)} {extra}>>\nstream\n".encode() + body + b"\nendstream"
        kids.append(f"{page} 0 R")
    objects[2] = f"<</Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)}>>".encode()
    trailer = f"/ID [<{_ID.hex()}> <{_ID.hex()}>]"
    if info:
        objects[number := next(numbers)] = info.encode()
        trailer += f" /Info {number} 0 R"
    if key is not None:
        user = _rc4(key, _PADDING)
        objects[number := next(numbers)] = (
            f"<</Filter /Standard /V 1 /R 2 /P -4 /O <{owner.hex()}> /U <{user.hex()}>>>".encode()
        )
        trailer += f" /Encrypt {number} 0 R"
    return _assemble(objects, trailer)


def _assemble(objects: dict[int, bytes], trailer: str) -> bytes:
    out, offsets = bytearray(b"%PDF-1.4\n"), {}
    for number in sorted(objects):
        offsets[number] = len(out)
        out += f"{number} 0 obj\n".encode() + objects[number] + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offsets[number]:010} 00000 n \n".encode() for number in sorted(objects))
    out += f"trailer <</Size {len(objects) + 1} /Root 1 0 R {trailer}>>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


# -- encryption, ISO 32000-1, 7.6.3 -----------------------------------------------------------------------


def _make_key(password: str, owner: bytes) -> bytes:
    padded = (password.encode() + _PADDING)[:32]
    return hashlib.md5(padded + owner + (-4 & 0xFFFFFFFF).to_bytes(4, "little") + _ID).digest()[:5]  # noqa: S324


def _make_object_key(key: bytes, number: int) -> bytes:
    return hashlib.md5(key + number.to_bytes(3, "little") + b"\0\0").digest()[:10]  # noqa: S324


def _rc4(key: bytes, text: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in text:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
