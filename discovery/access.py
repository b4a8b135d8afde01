"""What a strategy may reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from discovery.memory import Recall, Receive, recall_nothing
from discovery.readers import ReadItems, ReadRows, refuse_rows
from net.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from net.client import PoliteClient


@dataclass(frozen=True, slots=True)
class Access:
    """
    What a strategy may reach, handed in by whoever runs it.

    `job` is the name of the job that it finds items for. `environment` holds the variables that jobs.yaml may
    name. `since` is the instant before which nothing is wanted (the runner leaves out what is older; a strategy
    may spare itself the asking). `wanted` are the job's own terms on which it depends what is let in: with others, a
    source that has not changed may give something. `recall` knows the sources of earlier discoveries. `receive`
    takes the items batch by batch; without one, the discovery keeps them. `read_items` and `read_rows` read the
    tracker and other SQLite files. `guard` says where connections other than those of `http` may go. `stdin` is
    what somebody pipes in, None where nobody does.
    """

    http: PoliteClient
    read_items: ReadItems
    job: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None
    wanted: Sequence[object] = ()
    recall: Recall = recall_nothing
    receive: Receive | None = None
    read_rows: ReadRows = refuse_rows
    guard: Guard = field(default_factory=lambda: Guard.allowing(()))
    stdin: BinaryIO | None = None
