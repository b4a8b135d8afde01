"""Which broker a command uses, and whether the workers on it are its own."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from pipeline.settings import Settings
    from runner.broker import EmbeddedBroker
    from runner.context import RunContext

LOOK_SECONDS, GONE_SECONDS = 5.0, 30.0
"""How often the broker of workers that others run is looked for, and how long it may be away until it is gone."""


@contextmanager
def only_up(data: Path) -> Iterator[None]:
    """Be the one `up` of a data folder while the block runs. Raises `OperatorError` when there is one."""
    import fcntl

    from pipeline.errors import OperatorError

    with _open_lock(data, "up.lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OperatorError(f"celeriac is up already in {data}; stop that one first") from None
        yield


@contextmanager
def having_workers(data: Path) -> Iterator[bool]:
    """
    Note, while the block runs, that a data folder has workers; whether it had none before.

    The note is a shared lock, which ends with its holder, however that ends.
    """
    import fcntl

    with _open_lock(data, "workers.lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            alone = False
        else:
            alone = True
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield alone


def _open_lock(data: Path, name: str) -> IO[str]:
    from pipeline.errors import OperatorError

    try:
        data.mkdir(parents=True, exist_ok=True)
        return (data / name).open("a")
    except OSError as error:
        raise OperatorError(f"the data folder {data} cannot be used: {error.strerror}") from error


@dataclass(slots=True)
class SharedWorkers:
    """The workers of a running `celeriac up`: they need no care, but they may be stopped."""

    url: str
    looked_at: float = field(default_factory=time.monotonic)
    answered_at: float = field(default_factory=time.monotonic)

    def see_to(self) -> None:
        """
        Raise `BrokerUnavailableError` once their broker has gone; looks every few seconds.

        It has not if it is only busy, or was killed: then `celeriac up` starts it again.
        """
        from pipeline.errors import BrokerUnavailableError
        from runner.broker import is_reachable

        if time.monotonic() - self.looked_at >= LOOK_SECONDS:
            is_there, self.looked_at = is_reachable(self.url), time.monotonic()
            if is_there:
                self.answered_at = self.looked_at
            elif self.looked_at - self.answered_at > GONE_SECONDS:
                raise BrokerUnavailableError("the `celeriac up` that did the work was stopped; run it again")


@dataclass(frozen=True, slots=True)
class UsedBroker:
    """The broker of a run: of `shared` workers, or with workers of its own, which it may have to be seen to for."""

    url: str
    shared: bool
    see_to: Callable[[], None]


def start_broker(stack: ExitStack, settings: Settings, *, alone: bool, announce: bool) -> EmbeddedBroker:
    """
    Have a broker of our own until the stack ends.

    It is empty: where nobody else works for the tracker, what was sent before went with the broker of then, and is
    taken back. What had its time with that one would else come a minute late, as lost.
    """
    from runner.broker import embedded_broker
    from tracker.connection import open_db
    from tracker.messages import take_back_all_messages

    broker = stack.enter_context(embedded_broker(settings, announce=announce))
    if alone:
        with open_db(settings.db_path) as conn:
            take_back_all_messages(conn)
    return broker


def use_broker(stack: ExitStack, settings: Settings, run: RunContext, *, alone: bool) -> UsedBroker:
    """
    Choose the broker of a run, and set it in the environment, for this process and those it starts.

    It is `shared` if workers that are not ours answer on it. `alone` says that the data folder had no workers. A run
    that keeps to a part of its job, or works on a copy of the tracker, has a broker to itself: the workers of others
    would not.

    Raises `BrokerUnavailableError` when the one that is configured does not answer. A run that only discovers sends
    nothing, and needs none.
    """
    from runner.broker import find_embedded

    configured = settings.broker_url.get_secret_value() if settings.broker_url else None
    url = None if run.is_scoped or run.is_test else configured or find_embedded(settings)
    if configured and url == configured and not run.discover_only:
        _require_answer(configured)
    answered = url is not None and has_workers(url)
    if url is None or not (configured or answered):
        own = start_broker(stack, settings, alone=alone, announce=False)
        used = UsedBroker(own.url, shared=False, see_to=own.see_to)
    else:
        used = UsedBroker(
            url, shared=answered, see_to=SharedWorkers(url).see_to if answered else _see_to_nothing
        )
    os.environ["CELERIAC_BROKER_URL"] = used.url
    return used


def _require_answer(url: str) -> None:
    from pipeline.errors import BrokerUnavailableError
    from runner.broker import find_silence

    if silence := find_silence(url):
        raise BrokerUnavailableError(
            f"{silence}: start it, or leave CELERIAC_BROKER_URL unset, and one is started here"
        )


def _see_to_nothing() -> None:
    """Leave a broker that was configured to those whose it is."""


def has_workers(url: str) -> bool:
    """Tell whether any worker answers on a broker, within a second, or two if it is silent itself."""
    from celery import Celery
    from kombu.exceptions import OperationalError

    from runner.broker import is_reachable

    if not is_reachable(url):
        return False  # Celery would try it again for long
    try:
        with Celery(broker=url) as app:
            return bool(app.control.broadcast("ping", reply=True, timeout=1.0, limit=1))
    except OperationalError:
        return False


def stop_on_signals() -> None:
    """Let SIGTERM end a command as Ctrl-C does, and SIGINT also where a script's `&` has it ignored."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
