"""
Heartbeats, by which Flower sees a worker: one that the broker does not take is left out.

Celery would try it again and again within the worker's event loop, which then looks at nothing else: told to stop
while the broker is silent, the worker would not. Celery has no setting for it.
"""

from __future__ import annotations

from typing import Any

from celery.worker.heartbeat import Heart

_send = Heart._send  # type: ignore[attr-defined]  # noqa: SLF001


def _send_once(heart: Heart, event: str, retry: bool = False) -> Any:
    del retry  # the next beat follows in seconds
    return _send(heart, event, retry=False)


def use_prompt_heart() -> None:
    """Let the hearts of workers try nothing again."""
    Heart._send = _send_once  # type: ignore[attr-defined]  # noqa: SLF001
