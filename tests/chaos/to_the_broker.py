"""Mishaps to the broker and its messages."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import redis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.chaos.house import House


def kill_broker(house: House, random: Random) -> Iterator[float]:
    """SIGKILL the broker; another takes its place soon, without its messages."""
    house.kill_broker()
    yield random.uniform(0, 3)
    house.start_broker()


def stop_broker(house: House, random: Random) -> Iterator[float]:
    """Take the broker away for up to 30 seconds."""
    house.kill_broker()
    yield random.uniform(5, 30)
    house.start_broker()


def freeze_broker(house: House, random: Random) -> Iterator[float]:
    """SIGSTOP the broker for up to 30 seconds: it accepts connections, and does not answer."""
    assert house.broker is not None
    house.broker.send_signal(signal.SIGSTOP)
    yield random.uniform(2, 30)
    house.broker.send_signal(signal.SIGCONT)


def flush_broker(house: House, _: Random) -> Iterator[float]:
    """FLUSHALL."""
    try:
        with house.redis() as client:
            client.flushall()
    except redis.RedisError:
        pass
    yield 0


class Copies:
    """Delivers messages ten times, out of order, at once and much later, when their stages have long been settled."""

    def __init__(self) -> None:
        self._seen: list[tuple[bytes, bytes]] = []

    def __call__(self, house: House, random: Random) -> Iterator[float]:
        try:
            with house.redis() as client:
                fresh = self._read(client)
                self._seen = random.sample(self._seen + fresh, min(400, len(self._seen + fresh)))
                again = (fresh[:60] + random.sample(self._seen, min(40, len(self._seen)))) * 10
                random.shuffle(again)
                for queue, message in again:
                    (client.lpush if random.random() < 0.5 else client.rpush)(queue, message)
        except redis.RedisError:
            pass
        yield 0

    def _read(self, client: redis.Redis) -> list[tuple[bytes, bytes]]:
        queues = [queue for queue in client.scan_iter(_type="list") if not queue.endswith(b".pidbox")]
        return [(queue, message) for queue in queues for message in client.lrange(queue, 0, 200)]


deliver_ten_times = Copies()
