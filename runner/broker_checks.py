"""What a broker says of itself: its version, its memory, its clock, and how many messages each queue holds."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis

from runner.broker import connect_to
from tracker.clock import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class BrokerReport:
    """
    A broker that answers.

    `policy` is what it does when its memory is full (`max_bytes`; 0 is no limit). `skew_ms` is how far its clock is
    ahead of ours, to within half of `answer_ms`. `messages` counts by queue.
    """

    server: str
    used_bytes: int
    max_bytes: int
    policy: str
    skew_ms: int
    answer_ms: int
    messages: Mapping[str, int]

    @property
    def may_drop_messages(self) -> bool:
        """Tell whether a full memory would make it forget messages instead of refusing them."""
        return self.max_bytes > 0 and self.policy not in {"noeviction", ""}


def ask_broker(url: str, queues: Iterable[str]) -> BrokerReport | str:
    """Ask a broker, or tell why it does not answer within two seconds; without its password."""
    try:
        with contextlib.closing(connect_to(url)) as client:
            return _ask(client, queues)
    except (redis.RedisError, OSError, ValueError) as error:
        return str(error)


def _ask(client: redis.Redis, queues: Iterable[str]) -> BrokerReport:
    info = client.info()
    began, asked_at = time.monotonic(), now_ms()
    seconds, microseconds = client.time()
    answer_ms = round((time.monotonic() - began) * 1000)
    name = "Valkey" if "valkey_version" in info else "Redis"
    return BrokerReport(
        server=f"{name} {info.get('valkey_version') or info.get('redis_version', '?')}",
        used_bytes=int(info.get("used_memory", 0)),
        max_bytes=int(info.get("maxmemory", 0)),
        policy=str(info.get("maxmemory_policy", "")),
        skew_ms=seconds * 1000 + microseconds // 1000 - asked_at - answer_ms // 2,
        answer_ms=answer_ms,
        messages={queue: client.llen(queue) for queue in queues},
    )
