"""The addresses of pages that are about something with a stranger's name."""

from __future__ import annotations

from urllib.parse import quote

LONGEST_KEY = 2_000
"""A longer one, as it is written in a URL, is no address that servers take: its item goes by its id."""


def write_query(text: object) -> str:
    """
    Write a text as the value of a parameter in a URL: everything is encoded, also slashes.

    >>> write_query("a/b&c=d e")
    'a%2Fb%26c%3Dd%20e'
    """
    return quote(str(text), safe="", errors="replace")


def job_path(job: str | None) -> str:
    """
    Write the address of a job's page, or of the overview for all jobs.

    >>> job_path("papers"), job_path(None)
    ('/jobs/papers', '/')
    """
    return f"/jobs/{write_query(job)}" if job else "/"


def item_path(job: str, key: str, item_id: int) -> str:
    """
    Write the address of an item's page: by its key, which lasts, unless that is too long.

    >>> item_path("papers", "a/b", 7), item_path("papers", "x" * 3000, 7)
    ('/items?job=papers&key=a%2Fb', '/items?job=papers&id=7')
    """
    written = write_query(key)
    return f"/items?job={write_query(job)}&{f'key={written}' if len(written) <= LONGEST_KEY else f'id={item_id}'}"
