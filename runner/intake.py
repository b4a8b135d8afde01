"""Take in what a strategy hands over: keyed and aged as the job wants it, under its caps, batch by batch."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING

import structlog

from discovery.base import canonical_url, hash_url
from discovery.items import check_key
from discovery.memory import Keep
from pipeline.key_template import KeyTemplateError
from pipeline.on_change import OnChange
from runner.judge import as_text
from runner.room import wait_for_room
from tracker import run_counts, runs
from tracker.findings import Cursor, Terms, store_found
from tracker.sources import SURGE_AFTER, SURGE_FACTOR, SourceLook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from discovery.items import AdmittedItem
    from discovery.memory import Batch, Look
    from pipeline.jobspec import JobSpec
    from tracker.connection import Connection
    from tracker.discoveries import RunLease

log = structlog.get_logger(__name__)

TOO_OLD = "older than since"
NO_KEY_MADE = "the key template cannot be applied"
DATED_BY = ("published_at", "modified_at")
"""The fields of data, ISO instants, that say how old a thing is; the first that is there counts."""


def find_cap(conn: Connection, job: JobSpec, run_id: int) -> int | None:
    """
    Find how many new items this run may let in; None for any number.

    The first look of a job has `first_run_max`; later ones `max_items`, and what would be a surge: ten times
    the median of what the last looks brought, but never fewer than `first_run_max`.
    """
    if not runs.has_looked_before(conn, job.name, run_id):
        return job.first_run_max
    caps = [] if job.max_items is None else [job.max_items]
    yields = runs.list_recent_yields(conn, job.name)
    if job.first_run_max is not None and len(yields) >= SURGE_AFTER:
        caps.append(max(job.first_run_max, round(SURGE_FACTOR * median(yields))))
    return min(caps, default=None)


@dataclass(slots=True)
class Sieve:
    """Makes the keys that the job wants, and leaves out what is older than its `since`, counting it in `refused`."""

    job: JobSpec
    refused: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    since: datetime | None = field(init=False)

    def __post_init__(self) -> None:
        self.since = self.job.since.instant() if self.job.since else None

    def sift(self, batch: Batch) -> Sequence[AdmittedItem]:
        """Give the items of a batch that go on."""
        items = batch.items
        if self.since is not None:
            items = [item for item in items if self._is_wanted(item)]
        if self.job.key is not None:
            items = list(self._rename(items, batch.source))
        if self.job.on_change is not OnChange.IGNORE:
            items = [item if item.version else replace(item, version=_fingerprint(item)) for item in items]
        return items

    def _is_wanted(self, item: AdmittedItem) -> bool:
        dated = _tell_age(item.data)
        if dated is None or self.since is None or dated >= self.since:
            return True
        self.refused[TOO_OLD] += 1
        return False

    def _rename(self, items: Sequence[AdmittedItem], source: str) -> Iterator[AdmittedItem]:
        for item in items:
            key = self._make_key(item, item.source or source)
            if key is not None:
                yield replace(item, key=key)

    def _make_key(self, item: AdmittedItem, source: str) -> str | None:
        assert self.job.key is not None  # noqa: S101  asked for only when there is one
        try:
            key = self.job.key.render(
                item.key, item.data, source, hash_url=hash_url, canonical_url=canonical_url
            ).strip()
        except KeyTemplateError as error:
            if not self.refused[NO_KEY_MADE]:
                self.problems.append(f"the key template cannot be applied to {item.key!r}: {error}")
            self.refused[NO_KEY_MADE] += 1
            return None
        if refusal := check_key(key):
            self.refused[refusal.value] += 1
            return None
        return key


def _tell_age(data: Mapping[str, object]) -> datetime | None:
    for name in DATED_BY:
        value = data.get(name)
        if isinstance(value, str):
            try:
                instant = datetime.fromisoformat(value)
            except ValueError:
                continue
            return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return None


def _fingerprint(item: AdmittedItem) -> str:
    return hashlib.blake2b(item.data_text.encode(), digest_size=8).hexdigest()


class Intake:
    """Stores the batches of one run, and keeps count. Commits each batch, with its cursor, in one transaction."""

    def __init__(self, conn: Connection, job: JobSpec, run: RunLease) -> None:
        self._conn, self._run = conn, run
        self._sieve = Sieve(job)
        self._terms = Terms(job.priority, job.on_change)
        self._cap = find_cap(conn, job, run.run_id)
        self._found: Counter[str] = Counter()
        self._new: Counter[str] = Counter()
        self._changed: Counter[str] = Counter()
        self.counts = run_counts.read_counts(conn, run.run_id)

    @property
    def refused(self) -> Counter[str]:
        """What the job's own terms left out, by reason."""
        return self._sieve.refused

    @property
    def problems(self) -> list[str]:
        """What could not be had, in words."""
        return self._sieve.problems

    def receive(self, batch: Batch) -> None:
        """Store one batch. Raises `StaleRunError` when another process has taken up the run."""
        self._found.update(item.source or batch.source for item in batch.items)
        items = self._sieve.sift(batch)
        cursor = None if batch.cursor is Keep.CURSOR else Cursor(batch.source, batch.cursor)
        room = None if self._cap is None else max(0, self._cap - self.counts.new)
        stored = wait_for_room(
            lambda: store_found(
                self._conn,
                self._run,
                items,
                self._terms,
                room=room,
                source=batch.source,
                cursor=cursor,
            )
        )
        self.counts += stored.counts
        self._new += stored.new_by_source
        self._changed += stored.changed_by_source

    def list_looks(self, looks: Mapping[str, Look], error: str | None = None) -> list[SourceLook]:
        """
        Give what came of each source, as the tracker records it.

        With an `error` the whole run failed: no source's validators may stand, for its items may be lost.
        """
        names = dict.fromkeys([*looks, *self._found]) or {"": None}
        waits = {name for name, look in looks.items() if look.paused is not None}  # it was not looked at
        names = {name: None for name in names if name not in waits}
        return [self._describe(name, looks.get(name), error) for name in names]

    def _describe(self, name: str, look: Look | None, error: str | None) -> SourceLook:
        return SourceLook(
            name,
            requests=look.requests if look else 0,
            found=self._found[name],
            new=self._new[name],
            changed=self._changed[name],
            unchanged=look.unchanged if look else False,
            error=as_text(look.error) if look and look.error else error,
            etag=look.etag if look else None,
            last_modified=look.last_modified if look else None,
        )
