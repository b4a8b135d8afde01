"""Every page, and how to come to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A page: its address, and a text of its main content. `button` is pressed there to come to another page."""

    path: str
    says: str
    button: str | None = None


PLACES = {
    "overview": Place("/", "Letters to the editor"),
    "overview of those that stand so": Place("/?stand=idle", "Overview"),
    "pause everything": Place("/pause", "Pause everything"),
    "job": Place("/jobs/letters", "p95"),
    "job with a plan": Place("/jobs/papers", "What jobs.yaml would change"),
    "job of strangers": Place("/jobs/strangers?span=7d", "Pipeline"),
    "pause a stage": Place("/jobs/letters/pause?stage=answer", "not through this stage"),
    "retry a job": Place("/jobs/letters/retry", "failed stages are tried again"),
    "apply": Place("/jobs/papers/apply", "Apply jobs.yaml"),
    "items": Place("/jobs/letters/items", "letter-60"),
    "items that a filter selects": Place("/jobs/letters/items?filter=error:Timeout", "stages of items"),
    "items of a wrong filter": Place("/jobs/letters/items?filter=stauts:x", "did you mean"),
    "item": Place("/items?job=letters&key=letter-01", "Dear editor"),
    "item that failed": Place("/items?job=letters&key=letter-03", "Traceback"),
    "item that runs": Place("/items?job=papers&key=d", "in progress"),
    "failures": Place("/failures", "no answer from the editor"),
    "failures, every one": Place("/failures?all=true&job=letters", "no answer from the editor"),
    "costs": Place("/costs", "Budgets"),
    "costs by model": Place("/costs?by=model&job=letters&since=7d", "quill-2"),
    "workers": Place("/workers", "worker@box"),
    "events": Place("/events", "What"),
    "events of people": Place("/events?acts=true", "priority"),
    "search": Place("/search?q=weather", "What items say"),
    "search without words": Place("/search", "Search"),
    "sources": Place("/sources", "letter box"),
    "sources of a job": Place("/sources?job=strangers", "Looks"),
    "actions": Place("/actions", "priority"),
    "action": Place("/actions/1", "priority"),
    "undo": Place("/undo?action=1", "Undo"),
    "login": Place("/login", "Log in"),
    "not there": Place("/jobs/leters", "did you mean"),
    "retry an item": Place("/items?job=letters&key=letter-03", "failed stage is tried again", "Retry"),
    "skip an item": Place("/items?job=letters&key=letter-03", "Reason", "Skip"),
    "reprocess an item": Place("/items?job=letters&key=letter-01", "The quote", "Reprocess"),
}
