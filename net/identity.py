"""How we introduce ourselves to the sites we visit."""

from __future__ import annotations

from pipeline.errors import OperatorError
from pipeline.release import read_release


def identify(contact: str | None) -> str:
    """
    Write our `User-Agent`: `Celeriac/<version> (+contact)`, or without the contact when there is none.

    Without one, only hosts on the allow-list are asked; see `net.guard`.

    Raises `OperatorError` for a contact that cannot stand in a header.
    """
    if not contact:
        return f"Celeriac/{read_release()}"
    if not (contact.isascii() and contact.isprintable()) or set(contact) & set("()"):
        raise OperatorError(f"CELERIAC_CONTACT: {contact!r} is no mail address or URL in plain ASCII")
    return f"Celeriac/{read_release()} (+{contact})"
