"""The forms that texts in jobs.yaml must have, as patterns, and what a message says instead of the pattern."""

from __future__ import annotations

NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,62}$"
QUEUE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
HOST_PATTERN = r"^[A-Za-z0-9_:-]+(\.[A-Za-z0-9_-]+)*$"
FUNCTION_PATTERN = r"^[\w.]+:[\w.]+$"
"""That of a function of the user's own; handlers say it themselves, for their source is a part of their version."""

FORMS = {
    NAME_PATTERN: "a lower-case letter, then more of them, digits, - and _; 63 in all",
    QUEUE_PATTERN: "a letter or a digit, then more of them, . _ and -; 100 in all",
    HOST_PATTERN: "the name of a host, such as example.org",
    FUNCTION_PATTERN: "package.module:function",
}
"""By a pattern, the form in words."""
