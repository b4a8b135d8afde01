"""
Kombu's Redis transport, fetching several messages at a time.

Kombu's own asks for one message, waits for it, and asks again: a third of what a worker's parent process does when its
stages are short. `BLMPOP` brings as many as the worker has room for. Servers before Redis 7 do not know it; they are
asked as before.
"""

from __future__ import annotations

from contextlib import suppress
from queue import Empty
from time import monotonic
from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Channel, Transport
from kombu.transport.virtual import QoS
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads
from redis.exceptions import ResponseError

from tasks.durations import DURATIONS

ROOM_WORTH_ASKING = 4
"""A worker that could take fewer messages than this, or than half of all that it may, does not ask for them yet."""


class RoomyQoS(QoS):
    """
    Leaves a worker more room while its tasks are short.

    What it has fetched is invisible to others: of long tasks it is not to have more than its processes will soon begin.
    """

    times_when_short = 1
    """How many times more it may fetch then, because its processes take several at once."""

    def can_consume(self) -> bool:
        """Tell whether there is room for another message."""
        return self.can_consume_max_estimate() != 0

    def can_consume_max_estimate(self: Any) -> int | None:  # type: ignore[override]  # as the parent's, in truth
        """Tell for how many messages there is room; None for any number."""
        if not self.prefetch_count:
            return None
        most = self.prefetch_count * (self.times_when_short if DURATIONS.all_are_short() else 1)
        return int(max(0, most - (len(self._delivered) - len(self._dirty))))


class BulkChannel(Channel):
    """A channel that takes as many messages at once as its consumer has room for."""

    do_restore = False
    """Nothing is unacknowledged, so nothing is to be put back at shutdown."""

    _asked_for_many = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.QoS: Any = RoomyQoS  # not the emulation of acknowledgements, nor kombu's choice without it

    def basic_cancel(self: Any, consumer_tag: str) -> None:
        """Stop consuming from a queue. What the question on its way brings still, after the last one, goes back."""
        super().basic_cancel(consumer_tag)
        if self._in_poll and not self.active_queues:
            with suppress(Empty):
                self._brpop_read()

    def _brpop_start(self: Any, timeout: float | None = None) -> None:
        room = self.qos.can_consume_max_estimate()
        if room is None or self.global_keyprefix or not self.connection.knows_blmpop:
            super()._brpop_start(timeout)  # type: ignore[misc]  # the stubs leave out what is private
            return
        if room < min(ROOM_WORTH_ASKING, self.qos.prefetch_count // 2):
            return
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        keys = [self._q_for_pri(queue, priority) for priority in self.priority_steps for queue in queues]
        connection = self.client.connection
        self._in_poll, self._brpop_sent_at = connection, monotonic()
        connection.send_command(
            "BLMPOP", timeout or self.brpop_timeout, len(keys), *keys, "RIGHT", "COUNT", room
        )
        self._asked_for_many = True

    def _brpop_read(self: Any, **options: Any) -> bool:
        if not self._asked_for_many:
            return bool(super()._brpop_read(**options))  # type: ignore[misc]  # as above
        self._asked_for_many = False
        try:
            taken = self.client.parse_response(self.client.connection, "BLMPOP", **options)
        except self.connection_errors:
            self.client.connection.disconnect()  # the next round connects again
            raise
        except ResponseError as error:
            if "unknown command" not in str(error).lower():
                raise
            self.connection.knows_blmpop = False
            taken = None
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if not taken:
            raise Empty
        key, messages = taken
        queue = bytes_to_str(key).rsplit(self.sep, 1)[0]
        if queue not in self.active_queues:
            self.client.rpush(key, *reversed(messages))
            return True
        self._queue_cycle.rotate(queue)
        for message in messages:
            self.connection._deliver(loads(bytes_to_str(message)), queue)  # noqa: SLF001 - as kombu's own does
        return True


class BulkTransport(Transport):
    """The transport of these channels."""

    Channel = BulkChannel
    knows_blmpop = True


def use_bulk_transport(together: int) -> None:
    """Let addresses of Redis mean this transport, in this process, whose tasks may be done so many together."""
    RoomyQoS.times_when_short = max(1, together // 2)
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{BulkTransport.__name__}"
