"""What a pause is, and what it can hold back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from tracker.rows import Row

Scope = Literal["all", "job", "stage", "host"]
Cause = Literal["person", "budget", "breaker"]


@dataclass(frozen=True, slots=True)
class Target:
    """What a pause holds back. What does not apply to its scope is the empty text."""

    scope: Scope
    job_id: str = ""
    stage: str = ""
    host: str = ""

    @classmethod
    def everything(cls) -> Self:
        """Every job there is."""
        return cls("all")

    @classmethod
    def of_job(cls, job_id: str) -> Self:
        """One job, all its stages."""
        return cls("job", job_id)

    @classmethod
    def of_stage(cls, job_id: str, stage: str) -> Self:
        """One stage of a job."""
        return cls("stage", job_id, stage)

    @classmethod
    def of_host(cls, host: str) -> Self:
        """One host, whoever asks it, with its subdomains."""
        return cls("host", host=plain_host(host))

    def __str__(self) -> str:
        """
        Name it as a person would.

        >>> str(Target.of_stage("hn", "fetch")), str(Target.of_host("Example.org."))
        ('hn.fetch', 'host example.org')
        """
        words = {"all": "everything", "host": f"host {self.host}", "stage": f"{self.job_id}.{self.stage}"}
        return words.get(self.scope, self.job_id)


def plain_host(host: str) -> str:
    """Write a host's name as pauses have it: lower case, without brackets and final dot."""
    return host.strip("[]").rstrip(".").lower()


@dataclass(frozen=True, slots=True)
class Pause:
    """
    A pause in force. Instants are Unix milliseconds.

    `lifts` counts how often such a pause was lifted by itself before, without a success since. A breaker's pause
    whose time is up stays, without `until_at`, until a probe has ended; `probes_left` are those not yet taken.
    """

    scope: Scope
    job_id: str
    stage: str
    host: str
    cause: Cause
    reason: str
    by: str
    since_at: int
    until_at: int | None
    lifts: int
    probes_left: int

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read a row of `pauses`."""
        return cls(*row)

    @property
    def target(self) -> Target:
        """What it holds back."""
        return Target(self.scope, self.job_id, self.stage, self.host)

    @property
    def is_probing(self) -> bool:
        """Tell whether a breaker is letting attempts out to see whether all is well again."""
        return self.cause == "breaker" and self.until_at is None


def list_domains(host: str) -> list[str]:
    """
    List a host and the domains that it is in.

    >>> list_domains("www.example.org")
    ['www.example.org', 'example.org', 'org']
    """
    labels = plain_host(host).split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]
