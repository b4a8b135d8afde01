"""Tell people something over one channel, by the handler `notify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.running import run_handler
from pipeline.errors import CeleriacError
from pipeline.notify import as_handler_params
from pipeline.outcomes import GiveUp, RetryLater, Skip
from pipeline.redaction import KNOWN
from pipeline.variables import current_environment, resolve_variables
from runner.attempt import Work, make_context
from runner.prepared import make_handler

if TYPE_CHECKING:
    from pipeline.notify import ChannelSpec
    from runner.runtime import Runtime

TIMEOUT_SECONDS = 60.0


def tell(runtime: Runtime, channel: ChannelSpec, title: str, words: str, identity: str) -> str | None:
    """
    Send a message over a channel; None if it was taken, else why not, without secrets.

    The same `identity` with the same words has the same `Idempotency-Key`, or Message-ID. Raises nothing.
    """
    try:
        url = resolve_variables(channel.url, current_environment())
        handler, _ = make_handler("notify", as_handler_params(channel, url))
        work = Work(
            job="celeriac",
            key=identity,
            stage="notify",
            attempt=1,
            data={"title": title, "message": words},
            results={},
            timeout_seconds=TIMEOUT_SECONDS,
        )
        outcome = run_handler(handler, make_context(work, runtime.http, lambda _: None))
    except (CeleriacError, ValueError, OSError) as error:
        return KNOWN.hide(str(error) or type(error).__name__)
    except Exception as error:  # noqa: BLE001 - a library of a channel may raise anything; the sweep goes on
        return KNOWN.hide(f"{type(error).__name__}: {error}")
    if isinstance(outcome, GiveUp | RetryLater | Skip):
        return KNOWN.hide(outcome.reason)
    return None
