"""DBOS Transact on SQLite: a workflow of three steps for each item."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy
from dbos import DBOS
from workload import FOLDER, Peer, do_stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

AT_ONCE = 4
URL = f"sqlite:///{FOLDER}/dbos.sqlite"
DBOS(config={"name": "bench", "system_database_url": URL, "log_level": "ERROR"})


@DBOS.step()
def first() -> dict[str, str]:
    """Do the first stage."""
    return do_stage()


@DBOS.step()
def second() -> dict[str, str]:
    """Do the second stage."""
    return do_stage()


@DBOS.step()
def third() -> dict[str, str]:
    """Do the third stage."""
    return do_stage()


@DBOS.workflow()
def take_through(_: int) -> None:
    """Take an item through its stages."""
    first()
    second()
    third()


def put(items: Iterable[int]) -> None:
    """Take the items through all stages, a few at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(take_through, items))


def count_results() -> int:
    """Count the steps on record."""
    with sqlalchemy.create_engine(URL).connect() as conn:
        counted = conn.execute(sqlalchemy.text("SELECT count(*) FROM operation_outputs")).scalar_one()
    return int(counted)


@contextmanager
def launched() -> Iterator[None]:
    """Run DBOS in this process while the block runs."""
    DBOS.launch()
    try:
        yield
    finally:
        DBOS.destroy()


PEER = Peer(
    settings=f"1 process, {AT_ONCE} workflows at once, SQLite as it comes",
    on_disk=True,
    put=put,
    count_results=count_results,
    server=launched,
)
