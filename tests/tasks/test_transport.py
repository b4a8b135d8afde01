"""Messages are fetched several at a time, from a real broker; from an old one, one at a time."""

import subprocess
from contextlib import contextmanager

import pytest
from kombu import Connection, Consumer, Queue

from runner.broker import find_server, is_reachable
from tasks.transport import use_bulk_transport
from tests.waiting import PATIENCE_SECONDS, wait_until

OLD = ("--rename-command", "BLMPOP", "")
"""As a server before Redis 7 answers: it has no such command."""


@contextmanager
def broker(directory, *options):
    path = directory / "broker.sock"
    arguments = [find_server(), "--port", "0", "--unixsocket", str(path), "--save", "", *options]
    with subprocess.Popen(arguments, cwd=directory, stdout=subprocess.DEVNULL) as server:
        try:
            url = f"redis+socket://{path}"
            wait_until(lambda: is_reachable(url))
            yield url
        finally:
            server.terminate()


@pytest.fixture
def short_path(tmp_path_factory):
    return tmp_path_factory.mktemp("b")


def count_calls(connection, command):
    stats = connection.default_channel.client.info("commandstats")
    return stats.get(f"cmdstat_{command}", {}).get("calls", 0)


def take_all(connection, queues, count, room):
    """Consume so many messages with room for a few unacknowledged ones; their bodies, and how often was asked."""
    taken = []

    def note(body, message):
        taken.append(body)
        message.ack()

    with connection.channel() as channel, Consumer(channel, queues, callbacks=[note]) as consumer:
        consumer.qos(prefetch_count=room)
        while len(taken) < count:
            connection.drain_events(timeout=PATIENCE_SECONDS)
    return taken


@pytest.mark.parametrize(("options", "most_asked"), [((), 15), (OLD, 110)], ids=["new", "old"])
def test_all_messages_come_once_and_in_order(short_path, options, most_asked):
    use_bulk_transport(8)
    with (
        broker(short_path, *options) as url,
        Connection(url, transport_options={"ack_emulation": False}) as connection,
    ):
        queue = Queue("things")
        with connection.Producer() as producer:
            for number in range(100):
                producer.publish(number, routing_key="things", declare=[queue])
        assert take_all(connection, [queue], 100, room=10) == list(range(100))
        asked = count_calls(connection, "blmpop") + count_calls(connection, "brpop")
        assert asked <= most_asked


def test_several_queues_take_turns(short_path):
    use_bulk_transport(8)
    with (
        broker(short_path) as url,
        Connection(url, transport_options={"ack_emulation": False}) as connection,
    ):
        queues = [Queue("left"), Queue("right")]
        with connection.Producer() as producer:
            for queue in queues:
                for _ in range(20):
                    producer.publish(queue.name, routing_key=queue.name, declare=[queue])
        first = take_all(connection, queues, 40, room=8)[:20]
        assert {"left", "right"} == set(first)


def test_who_has_little_room_waits_until_it_is_worth_asking(short_path):
    use_bulk_transport(8)
    held = []
    with (
        broker(short_path) as url,
        Connection(url, transport_options={"ack_emulation": False}) as connection,
        connection.channel() as channel,
        Consumer(channel, [Queue("things")], callbacks=[lambda _, message: held.append(message)]) as consumer,
    ):
        consumer.qos(prefetch_count=1008)  # as with a thousand countdowns in hand
        with connection.Producer() as producer:
            for number in range(1020):
                producer.publish(number, routing_key="things")
        while len(held) < 1008:
            connection.drain_events(timeout=PATIENCE_SECONDS)
        for message in held[:3]:
            message.ack()
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.2)
        held[3].ack()
        while len(held) < 1012:
            connection.drain_events(timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("options", [(), OLD], ids=["new", "old"])
def test_what_comes_while_a_consumer_is_cancelled_goes_back(short_path, options):
    use_bulk_transport(8)
    taken, queue = [], Queue("things")
    with (
        broker(short_path, *options) as url,
        Connection(url, transport_options={"ack_emulation": False}) as connection,
        connection.channel() as channel,
        connection.Producer() as producer,
    ):

        def publish(number):
            producer.publish(number, routing_key="things", declare=[queue])

        def count_left():
            return connection.default_channel.client.llen("things")

        with Consumer(channel, [queue], callbacks=[lambda body, _: taken.append(body)]) as consumer:
            consumer.qos(prefetch_count=10)
            publish(0)
            while not taken:  # an old one says that it is
                connection.drain_events(timeout=PATIENCE_SECONDS)
            with pytest.raises(TimeoutError):
                connection.drain_events(timeout=0.2)
            for number in range(1, 4):
                publish(number)
            assert count_left() < 3  # one is on its way to who asked last
        assert count_left() == 3
        again = take_all(connection, [queue], 3, room=10)
    assert again == ([2, 3, 1] if options else [1, 2, 3])  # kombu's own puts it behind the others
    assert taken == [0]


def test_what_comes_at_once_while_a_consumer_is_cancelled_goes_back_in_its_order(short_path):
    use_bulk_transport(8)
    taken, queue = [], Queue("things")
    with (
        broker(short_path) as url,
        Connection(url, transport_options={"ack_emulation": False}) as connection,
        connection.channel() as channel,
        connection.Producer() as producer,
    ):
        client = connection.default_channel.client
        for number in range(1, 4):
            producer.publish(number, routing_key="aside", declare=[Queue("aside")])
        newest_first = client.lrange("aside", 0, -1)
        channel.brpop_timeout = (
            PATIENCE_SECONDS  # whoever asked once still waits, however slow this machine is
        )
        with Consumer(channel, [queue], callbacks=[lambda body, _: taken.append(body)]) as consumer:
            consumer.qos(prefetch_count=10)
            with pytest.raises(TimeoutError):
                connection.drain_events(timeout=0.2)
            client.lpush("things", *reversed(newest_first))
            wait_until(lambda: client.llen("things") == 0)  # all are on their way to who asked
        assert client.llen("things") == 3
        assert take_all(connection, [queue], 3, room=10) == [1, 2, 3]
    assert taken == []


@pytest.mark.parametrize("room", [1, 2, 7])
def test_who_may_have_few_asks_for_them_all_the_same(short_path, room):
    use_bulk_transport(1)
    with (
        broker(short_path) as url,
        Connection(url, transport_options={"ack_emulation": False}) as connection,
    ):
        queue = Queue("things")
        with connection.Producer() as producer:
            for number in range(10):
                producer.publish(number, routing_key="things", declare=[queue])
        assert take_all(connection, [queue], 10, room=room) == list(range(10))
