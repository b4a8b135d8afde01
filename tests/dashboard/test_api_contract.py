"""
The API does what its document says: schemathesis makes requests from it, valid ones and others, and judges each answer.

Always the same ones, over a real tracker. None may end in a 500, in a status or a shape that the document does not
have, or get by without a token; and what a path does not have is refused with the methods that it has.
"""

from __future__ import annotations

from collections import Counter

import pytest
import schemathesis
from filled import fill
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from runner.access import make_token
from tracker.clock import now_ms
from tracker.notes import SWEPT_AT, set_note

EXAMPLES = 12
"""How many requests are drawn for each route, beside those that stand at the edges of what it takes."""

NOT_JUDGED = {
    "positive_data_acceptance": "a filter, a cursor or a time that JSON Schema allows may still mean nothing: 400",
    "missing_required_header": "a write without a token is refused first for its missing Origin: 403",
}


@pytest.fixture
def token(conn):
    return make_token(conn, "everything", "admin", "test")[1]


@pytest.fixture
def ran(app, conn, token):
    """Run schemathesis over every route of the document; the scenarios, and what went wrong with itself."""
    fill(conn)
    set_note(conn, SWEPT_AT, str(now_ms() + 3_600_000))  # fresh to the end, which may be minutes away
    headers = {"Authorization": f"Bearer {token}"}
    config = SchemathesisConfig.from_dict(
        {
            "base-url": "http://localhost",
            "seed": 1,
            "headers": headers,
            "parameters": {"path.job": "papers"},
            "checks": {name: {"enabled": False} for name in NOT_JUDGED}
            | {"negative_data_rejection": {"expected-statuses": ["4xx"]}},  # 413, for too many items
            "generation": {"deterministic": True, "max-examples": EXAMPLES, "database": "none"},
            "phases": {"stateful": {"enabled": False}},
        }
    )
    schema = schemathesis.openapi.from_asgi(
        "/api/openapi.json", app, config=config, headers={"Host": "localhost"}
    )
    happened = list(from_schema(schema).execute())
    broken = [event for event in happened if isinstance(event, events.NonFatalError | events.FatalError)]
    return (
        schema,
        [event.recorder for event in happened if isinstance(event, events.ScenarioFinished)],
        broken,
    )


@pytest.mark.timeout(900)
def test_every_answer_is_one_that_the_document_has(ran):
    schema, scenarios, broken = ran
    assert broken == []
    statuses, failures = {}, []
    for scenario in scenarios:
        counted = statuses.setdefault(scenario.label, Counter())
        counted.update(one.response.status_code for one in scenario.interactions.values() if one.response)
        failures += [
            f"{scenario.label}: {check.failure_info.failure}\n{check.failure_info.code_sample}"[:1500]
            for checks in scenario.checks.values()
            for check in checks
            if check.failure_info
        ]
    assert not failures, "\n\n".join(failures[:10])
    documented = {f"{one.ok().method.upper()} {one.ok().path}" for one in schema.get_all_operations()}
    assert statuses.keys() == documented
    assert sum(sum(counted.values()) for counted in statuses.values()) > EXAMPLES * len(documented)
    assert all(counted.keys() - {405} for counted in statuses.values())
    assert not [label for label, counted in statuses.items() if 500 in counted]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/jobs/papers/items", "GET, POST"),  # of two routes
        ("/api/jobs", "GET"),
        ("/api/jobs/papers/retry", "POST"),
        ("/login", "GET, POST"),
        ("/static/celeriac.css", "GET, HEAD"),
    ],
)
def test_a_method_that_a_path_does_not_have_is_refused_with_those_that_it_has(visit, token, path, allowed):
    answer = visit(authorization=f"Bearer {token}").delete(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_a_path_that_is_not_there_allows_nothing(visit, token):
    answer = visit(authorization=f"Bearer {token}").delete("/api/nowhere")
    assert (answer.status_code, "allow" in answer.headers) == (404, False)
