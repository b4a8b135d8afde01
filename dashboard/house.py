"""What the dashboard stands on: the tracker to read, the runtime to act with, and how it was started."""

from __future__ import annotations

import os
import secrets
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cached_property
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from itsdangerous import TimestampSigner

from pipeline.errors import JobsFileError
from pipeline.jobs_file import JobsWatch
from tracker.connection import open_readonly

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import HTTPConnection

    from pipeline.filespec import JobsFile
    from pipeline.settings import Settings
    from runner.runtime import Runtime
    from tracker.connection import Connection

KEY_FILE = "dashboard.key"
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Served:
    """How it is served: to which hosts, below which prefix, and whose word about a visitor's name is taken."""

    hosts: frozenset[str] = LOCAL_HOSTS
    prefix: str = ""
    https: bool = False
    user_header: str | None = None
    proxies: frozenset[str] = frozenset()
    flower_url: str | None = None


class _Local(threading.local):
    """What belongs to one thread."""

    def __init__(self) -> None:
        self.reader: Connection | None = None
        self.opened = ExitStack()


@dataclass
class House:
    """One dashboard's view of one tracker."""

    settings: Settings
    served: Served
    make_runtime: Callable[[], Runtime]
    _local: _Local = field(default_factory=_Local)

    @cached_property
    def watch(self) -> JobsWatch:
        """Whoever reads jobs.yaml again when it has changed."""
        return JobsWatch(self.settings.jobs)

    @property
    def reader(self) -> Connection:
        """This thread's read-only connection."""
        if self._local.reader is None:
            self._local.reader = self._local.opened.enter_context(open_readonly(self.settings.db_path))
        return self._local.reader

    @cached_property
    def runtime(self) -> Runtime:
        """What acts, made when something is first done."""
        return self.make_runtime()

    def read_jobs(self) -> tuple[JobsFile | None, str | None]:
        """Read the jobs.yaml in force, if there is one; and say why the file is refused, if it is."""
        try:
            return self.watch.current(), str(self.watch.refusal) if self.watch.refusal else None
        except JobsFileError as error:
            return None, str(error)

    @cached_property
    def signer(self) -> TimestampSigner:
        """What signs the cookies of sessions. Its key is a file beside the tracker that only its owner reads."""
        return TimestampSigner(read_key(self.settings.data / KEY_FILE), salt="celeriac.session")

    def facts(self) -> dict[str, Any]:
        """Give what every page knows of how it is served."""
        return {"prefix": self.served.prefix, "flower_url": self.served.flower_url}


def house_of(request: HTTPConnection) -> House:
    """Give what the dashboard that is asked stands on."""
    house: House = request.app.state.house
    return house


def read_key(path: Path) -> str:
    """Read the key for cookies, made at the first time; whoever comes second has the first one's."""
    if not path.exists():
        with NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}."
        ) as file:  # only its owner reads it
            file.write(secrets.token_urlsafe(48))
            file.flush()
            with suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text()
