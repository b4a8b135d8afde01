"""Read what a worker of another release says: what it says beyond what is known here is left out."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed import DataclassInstance

    Said = TypeVar("Said", bound=DataclassInstance)


def read_said(kind: type[Said], said: Mapping[str, Any], **unsaid: Any) -> Said:
    """
    Make a record of what was said; `unsaid` is what holds for a field that an older release does not say.

    Raises `TypeError` when a field is missing that has no default.
    """
    known = {field.name for field in fields(kind)}
    return kind(**unsaid | {name: value for name, value in said.items() if name in known})
