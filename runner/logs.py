"""Logs: lines for people on a terminal, JSON elsewhere, with job, item, stage and attempt as fields."""

from __future__ import annotations

import logging
import sys

import structlog

from pipeline.redaction import KNOWN


class HidingFormatter(structlog.stdlib.ProcessorFormatter):
    """Writes a line without what the variables of jobs.yaml stand for, whoever logged it."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        return KNOWN.hide(super().format(record))


def configure_logs(level: int | str = logging.INFO) -> None:
    """
    Send every log, ours and the libraries', to standard error in one form. Call it once for each process.

    Celery's own lines about each task are left out below WARNING: ours say more, and cost half.
    """
    stamps: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    terminal = sys.stderr.isatty()
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[*stamps, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),  # what is not logged costs nothing
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.__stderr__)
    handler.setFormatter(
        HidingFormatter(
            foreign_pre_chain=[*stamps, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([] if terminal else [structlog.processors.format_exc_info]),
                last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in (
        "celery.worker.strategy",
        "celery.app.trace",
        "celery.beat",
        "kombu",
        "amqp",
        "httpx2",
        "httpcore2",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
