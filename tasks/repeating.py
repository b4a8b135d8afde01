"""What a worker's parent process does again and again while it is connected to the broker."""

from __future__ import annotations

from typing import Any, ClassVar

from celery import bootsteps


class RepeatedStep(bootsteps.StartStopStep):
    """A step of Celery's consumer that acts every few seconds, from one connection to the broker to its end."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    every_seconds: ClassVar[float]

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Begin to act; Celery calls this at each connection to the broker."""
        self._timer = parent.timer.call_repeatedly(self.every_seconds, self.act, (parent,))

    def stop(self, _: Any) -> None:
        """Act no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def act(self, consumer: Any) -> None:
        """Do it, in the worker's event loop: nothing here may wait for long."""
        raise NotImplementedError
