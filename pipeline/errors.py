"""
Every error that Celeriac raises on purpose: one root, in families by who must act.

A message says what is wrong, which one it is, and what to do. All of them pickle, because Celery carries
them between processes.
"""

from __future__ import annotations

from typing import Any


class CeleriacError(Exception):
    """The root. Catch it to catch everything that Celeriac raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from the attributes, so that errors with keyword arguments survive pickling."""
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(kind: type[CeleriacError], args: tuple[Any, ...], attributes: dict[str, Any]) -> CeleriacError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


# -- the author of jobs.yaml must act ---------------------------------------------------------------------


class JobsFileError(CeleriacError):
    """The author of jobs.yaml must act."""


class UnknownNameError(JobsFileError):
    """A name that nothing answers to; `nearest` is the likeliest one that was meant, or None."""

    def __init__(self, what: str, name: str, known: list[str], nearest: str | None = None) -> None:
        self.what, self.name, self.known, self.nearest = what, name, known, nearest
        hint = f"; did you mean {nearest!r}?" if nearest else f"; known: {', '.join(known) or 'none'}"
        super().__init__(f"no {what} named {name!r}{hint}")


# -- the author of a plugin must act ----------------------------------------------------------------------


class PluginError(CeleriacError):
    """The author of a strategy or handler must act."""


class PluginImportError(PluginError):
    """A dotted path that cannot be imported, or that is not what it should be."""


class MissingExtraError(PluginError):
    """A strategy or handler needs packages that are not installed."""

    def __init__(self, what: str, name: str, extra: str, missing: str) -> None:
        self.what, self.name, self.extra, self.missing = what, name, extra, missing
        super().__init__(
            f"{what} {name!r} needs: pip install 'celeriac[{extra}]' (no module named {missing!r})"
        )


class HandlerContractError(PluginError):
    """A handler ended in something that is no outcome, or in a result that is not JSON."""


# -- the source must act, or time -------------------------------------------------------------------------


class SourceError(CeleriacError):
    """The far end must act: a server, a feed, a file. `host` is the one that was asked, where that is known."""

    host: str | None = None


class SourceUnavailableError(SourceError):
    """Nothing could be had now; it may work later. `retry_after_seconds` is the source's own wish, or None."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


class HostBusyError(SourceUnavailableError):
    """It is not our turn to ask the host for longer than we are willing to wait; it has not been asked."""


class HostPausedError(HostBusyError):
    """The host is paused, by a person or by its breaker, until `retry_after_seconds`; it has not been asked."""

    def __init__(self, host: str, reason: str, retry_after_seconds: float) -> None:
        self.host = host
        super().__init__(f"host {host} is paused: {reason}", retry_after_seconds)


class SourceRejectedError(SourceError):
    """The source answered, and asking again will not help: gone, forbidden, too large, not what was promised."""


class BlockedAddressError(SourceRejectedError):
    """An address from outside leads into a private network, and is not on the allow-list."""


# -- the operator must act --------------------------------------------------------------------------------


class OperatorError(CeleriacError):
    """Whoever runs Celeriac must act."""


class NoContactError(OperatorError):
    """`who` would ask strangers, who could not reach whoever runs this."""

    def __init__(self, who: str) -> None:
        self.who = who
        super().__init__(
            f"{who} needs a contact: set CELERIAC_CONTACT to a mail address or web page of yours, "
            "which every site that is asked can read"
        )


class TrackerUnusableError(OperatorError):
    """The database cannot be used as it is: newer than the code, on an unsafe file system, not writable."""


class TrackerDamagedError(TrackerUnusableError):
    """The file is no sound database any more, or never was one: only another copy of it helps."""


class TrackerNewerError(TrackerUnusableError):
    """A newer Celeriac has made or migrated the database: this one writes nothing to it any more."""


class TrackerFullError(OperatorError):
    """The disk under the tracker is full: nothing is claimed until there is room."""


class TrackerInUseError(OperatorError):
    """The database is open in another process, and what is asked for needs it alone."""

    def __init__(self, path: object) -> None:
        self.path = str(path)
        super().__init__(
            f"{path} is open in another process: stop the workers, beat and whatever else reads it, then try again"
        )


class ExportError(OperatorError):
    """Results that cannot be exported so: to this place, in this format, or with what is installed."""


class BrokerUnavailableError(OperatorError):
    """The broker does not answer, or none can be started."""


class NotFoundError(OperatorError):
    """A job, item or stage that does not exist; `nearest` is the likeliest one that was meant, or None."""

    def __init__(self, what: str, name: str, nearest: str | None = None) -> None:
        self.what, self.name, self.nearest = what, name, nearest
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        super().__init__(f"no {what} {name!r}{hint}")


class HeldPlanError(OperatorError):
    """A stage that jobs.yaml has and the items of its job do not yet, because the change waits for `celeriac apply`."""

    def __init__(self, job: str, stage: str) -> None:
        self.job, self.stage = job, stage
        super().__init__(
            f"the stage {stage!r} of job {job!r} waits to be applied: celeriac plan {job}, celeriac apply {job}"
        )


class InvalidFilterError(OperatorError):
    """
    A filter that cannot be read: `at` is the place in its `text`, from 0; `allowed` says what may stand there.

    `nearest` is what was likeliest meant, or None.
    """

    def __init__(self, text: str, at: int, problem: str, allowed: str, nearest: str | None = None) -> None:
        self.text, self.at, self.problem, self.allowed, self.nearest = text, at, problem, allowed, nearest
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        shown = "".join(" " if letter.isspace() else letter for letter in text)
        super().__init__(f"{problem}{hint}\n  {shown}\n  {' ' * at}^\n  allowed: {allowed}")


class NotUndoableError(OperatorError):
    """An action that cannot be put back; the message says why."""


class UnclearRequestError(OperatorError):
    """A request that leaves out what it has to say, or says what nobody can mean."""


class TakesTooLongError(OperatorError):
    """What is asked for would look at too much; `seconds` is how long it was let."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"that would take longer than {seconds:g} s: ask for less")


class ArtifactError(OperatorError):
    """A kept file that is gone or was changed, or one that cannot be kept here."""


# -- nobody must act --------------------------------------------------------------------------------------


class LostOwnershipError(CeleriacError):
    """Nobody must act: another process has taken up the work. Logged and dropped."""


class StaleLeaseError(LostOwnershipError):
    """This attempt no longer owns its stage: another took it, or it was reset. Logged and dropped."""

    def __init__(self, item_id: int, stage: str, attempt: int | None) -> None:
        self.item_id, self.stage, self.attempt = item_id, stage, attempt
        super().__init__(f"attempt {attempt} of stage {stage!r} of item {item_id} owns it no longer")


class StaleRunError(LostOwnershipError):
    """This process no longer owns its discovery run: another took it up. Logged and dropped."""

    def __init__(self, job_id: str, run_id: int, attempt: int) -> None:
        self.job_id, self.run_id, self.attempt = job_id, run_id, attempt
        super().__init__(f"attempt {attempt} of discovery {run_id} of job {job_id!r} owns it no longer")
