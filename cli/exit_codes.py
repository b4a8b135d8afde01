"""What `celeriac` exits with. Documented in docs/command-line.md; a test compares."""

from __future__ import annotations

OK = 0
"""What was asked for is done."""

FAILED = 1
"""Something did not end well: an item failed, a check found trouble, a line was bad."""

INVALID = 2
"""The command line or jobs.yaml is wrong; nothing was done."""

NOT_FOUND = 3
"""No such job, item or stage."""

UNUSABLE = 4
"""The tracker, the broker, a port or the settings cannot be used as they are, or `up` is running already."""

SOURCE = 5
"""The source could not be had now; it is tried again at the time shown."""

WAITING = 6
"""Nothing failed, but some items wait for a time to come, for a pause to be lifted, or for a worker of their queue."""

CHANGES = 7
"""`celeriac plan --exit-code`: jobs.yaml has something that is not applied yet."""

UNSOUND = 8
"""`celeriac doctor` found an error, or with `--strict` a warning."""

INTERRUPTED = 130
"""Ctrl-C. Nothing is lost: the next run goes on from there."""
