"""Logs: lines for people on a terminal, JSON elsewhere, with job, item, stage and attempt as fields."""

from __future__ import annotations

import logging
import sys
from io import StringIO
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from pipeline.redaction import KNOWN
from pipeline.visible import make_visible, make_visible_but_colours
from runner.attempt_log import AttemptLogHandler, find_lines

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from structlog.typing import ExcInfo, Processor


STAMPS: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)
"""What each line gets, whoever logged it."""

NOISY = (
    "celery.worker.strategy",
    "celery.app.trace",
    "celery.beat",
    "kombu",
    "amqp",
    "httpx2",
    "httpcore2",
)
"""The loggers of which nothing is written below WARNING."""

MIGRATED = "tracker.schema"
"""The logger that tells of a file that was brought up to date, which people are told however little is logged."""


class HidingFormatter(structlog.stdlib.ProcessorFormatter):
    """Writes a line without what the variables of jobs.yaml stand for, whoever logged it."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        return KNOWN.hide(super().format(record))


def configure_logs(level: int = logging.INFO, kept: int | None = None) -> None:
    """
    Send every log, ours and the libraries', to standard error in one form. Call it once for each process.

    What is logged during an attempt is kept with it from the level `kept` on, whatever goes to standard error.
    Celery's own lines about each task are left out below WARNING: ours say more, and cost half.
    """
    structlog.configure(
        processors=[*STAMPS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=_make_logger(level, level if kept is None else kept),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_make_handler(level)]
    root.setLevel(level)
    if kept is not None:
        root.addHandler(AttemptLogHandler(kept))
        root.setLevel(min(level, kept))
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    migrated = logging.getLogger(MIGRATED)
    migrated.setLevel(logging.WARNING)
    migrated.handlers[:] = [logging.StreamHandler(sys.__stderr__)] if level > logging.WARNING else []


def _make_handler(level: int) -> logging.Handler:
    """Make what writes lines to standard error: for people on a terminal, JSON elsewhere."""
    last: list[Processor]
    if sys.stderr.isatty():
        last = [_show_texts, structlog.dev.ConsoleRenderer(exception_formatter=_write_traceback)]
    else:
        last = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    handler = logging.StreamHandler(sys.__stderr__)
    handler.setFormatter(
        HidingFormatter(
            foreign_pre_chain=[*STAMPS, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    handler.setLevel(level)
    return handler


def _show_texts(_: object, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: make_visible(one) if isinstance(one, str) else one for name, one in fields.items()}


def _write_traceback(out: TextIO, failure: ExcInfo) -> None:
    written = StringIO()
    structlog.dev.default_exception_formatter(written, failure)
    out.write(make_visible_but_colours(written.getvalue()))


def _make_logger(level: int, kept: int) -> type:
    """Make the class of our loggers, in which a line costs nothing that is neither written nor kept."""
    logger = structlog.make_filtering_bound_logger(min(level, kept))
    of_attempts = {
        name: _only_in_attempts(getattr(logger, name))
        for name in ("debug", "info", "warning")
        if kept <= logging.getLevelNamesMapping()[name.upper()] < level
    }
    return type("Logger", (logger,), of_attempts)


def _only_in_attempts(write: Callable[..., Any]) -> Callable[..., Any]:
    def log(self: Any, event: str, *args: Any, **fields: Any) -> Any:
        return write(self, event, *args, **fields) if find_lines() is not None else None

    return log
