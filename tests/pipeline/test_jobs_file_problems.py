# ruff: noqa: E501 - one mistake a line, as a table
from __future__ import annotations

import pickle

import pytest

from pipeline.jobs_file import JobsFileInvalidError, load_jobs_file

GOOD = """\
version: 1
defaults:
  retries: 3
  timezone: UTC
jobs:
  papers:
    title: Papers
    enabled: true
    discovery:
      strategy: sample_plugins:Source
      limit: 3
    schedule: "@daily"
    priority: 0
    stages:
      - name: first
        handler: sample_plugins:Step
        params: {characters: 5}
        retries: 3
        timeout: 10m
        concurrency: 2
        rate: 1/s
        queue: celery
      - name: second
        handler: sample_plugins:Step
        needs: [first]
"""

# what replaces what; the line, path, and value to be named (... for any); words of the message; of what is allowed
# fmt: off
CASES = [
    ("version: 1", "version: 2", 1, "version", 2, "2 is not allowed", "1"),
    ("version: 1", "versions: 1", 1, "version", None, "'version' is missing", ""),
    ("version: 1", "version: 1\napply_above: -1", 2, "apply_above", -1, "too small", "0 or more"),
    ("version: 1", "version: 1\napply_abov: 5", 2, "apply_abov", ..., "did you mean 'apply_above'?", "jobs"),
    ("version: 1", "version: 1\nmaintenance: {backup: {kep: 3}}", 2, "maintenance.backup.kep", 3, "did you mean 'keep'?", "schedule"),
    ("version: 1", "version: 1\nmaintenance: {retention: {events: soon}}", 2, "maintenance.retention.events", "soon", "no duration", "30s"),
    ("version: 1", "version: 1\nmaintenance: {compact: {schedule: '@dayly'}}", 2, "maintenance.compact.schedule", "@dayly", "no schedule", "@daily"),
    ("version: 1", "version: 1\nnotify: {on: [budgt], to: 'https://a.example'}", 2, "notify.on[0]", "budgt", "did you mean 'budget'?", "breaker"),
    ("version: 1", "version: 1\nnotify: {on: breaker}", 2, "notify.to", None, "'to' is missing", ""),
    ("version: 1", "version: 1\nnotify: {to: {webhook: 'https://a.example', apprise: x}}", 2, "notify.to[0]", ..., "one address", "webhook"),
    ("version: 1", "version: 1\nnotify: {failed_share: 2, to: 'https://a.example'}", 2, "notify.failed_share", 2, "too large", "less than 1"),
    ("version: 1", "version: 1\nnotify: {to: {mail: {host: h, to: [a@b.example]}}}", 2, "notify.to.mail.sender", ..., "'sender' is missing", ""),
    ("title: Papers", "notify: {too: x, to: 'https://a.example'}", 7, "jobs.papers.notify.too", "x", "did you mean 'to'?", "remind"),
    ("defaults:", "default:", 2, "default", {"retries": 3, "timezone": "UTC"}, "did you mean 'defaults'?", "jobs"),
    ("  retries: 3\n  t", "  retries: -3\n  t", 3, "defaults.retries", -3, "too small", "0 or more"),
    ("timezone: UTC", "timezone: UTCC", 4, "defaults.timezone", "UTCC", "no time zone named 'UTCC'", "Europe/Berlin"),
    ("  papers:", "  My Papers:", 6, "jobs.My Papers", ..., "'My Papers' is no name for a job", "a lower-case letter"),
    ("title: Papers", "title: 5", 7, "jobs.papers.title", 5, "5 is not a text", "a text"),
    ("title: Papers", "titel: Papers", 7, "jobs.papers.titel", "Papers", "did you mean 'title'?", "schedule"),
    ("title: Papers", "name: papers", 7, "jobs.papers.name", "papers", "unknown key 'name'", "schedule"),
    ("enabled: true", "enabled: no", 8, "jobs.papers.enabled", "no", "neither true nor false", "true, false"),
    ("sample_plugins:Source", "local_fils", 10, "jobs.papers.discovery.strategy", "local_fils", "did you mean 'local_files'?", "package.module:Class"),
    ("sample_plugins:Source", "sample_plugins:Step", 10, "jobs.papers.discovery.strategy", "sample_plugins:Step", "is no strategy", "discover()"),
    ("sample_plugins:Source", "no_such:Source", 10, "jobs.papers.discovery.strategy", "no_such:Source", "No module named", ""),
    ("limit: 3", "limit: 900", 11, "jobs.papers.discovery.limit", 900, "900 is too large", "500 or less"),
    ("limit: 3", "order: old", 11, "jobs.papers.discovery.order", "old", "'old' is not allowed", "'new' or 'best'"),
    ("limit: 3", "limt: 3", 11, "jobs.papers.discovery.limt", 3, "did you mean 'limit'?", "order"),
    ("      limit: 3", "      params:\n        limit: 0", 12, "jobs.papers.discovery.params.limit", 0, "0 is too small", "1 or more"),
    ("rate: 1/s", "batch: 10", 21, "jobs.papers.stages[0].batch", 10, "works on one item at a time", "no `batch`"),
    ('"@daily"', '"61 * * * *"', 12, "jobs.papers.schedule", "61 * * * *", "bad minute", "five fields"),
    ('"@daily"', "\n      cron: '@daily'\n      timezone: Mars", 14, "jobs.papers.schedule.timezone", "Mars", "no time zone", "UTC"),
    ('"@daily"', "{every: 0}", 12, "jobs.papers.schedule.every", 0, "0 is no period", "15m"),
    ("priority: 0", "priority: high", 13, "jobs.papers.priority", "high", "not a whole number", "a whole number"),
    ("priority: 0", "key: '{{ hash_url(url=key, url=key) }}'", 13, "jobs.papers.key", ..., "keyword argument repeated", "a template over"),
    ("priority: 0", f"key: '{{{{ {'(' * 500}key{')' * 500} }}}}'", 13, "jobs.papers.key", ..., "nested too deep", "a template over"),
    ("priority: 0", f"key: '{{{{ {'1' * 5000} }}}}'", 13, "jobs.papers.key", ..., "not a template", "a template over"),
    ("name: first", "name: First", 15, "jobs.papers.stages[0].name", "First", "has the wrong form", "a lower-case letter"),
    ("name: second", "name: first", 23, "jobs.papers.stages[1]", ..., "duplicate stage 'first'", "each name once"),
    ("handler: sample_plugins:Step\n        params", "handler: fetchh\n        params", 16, "jobs.papers.stages[0].handler", "fetchh", "did you mean 'fetch'?", "article, "),
    ("sample_plugins:Step\n        params", "sample_plugins:NeitherOfThem\n        params", 16, "jobs.papers.stages[0].handler", ..., "is no handler", "run()"),
    ("sample_plugins:Step\n        params", "sample_plugins:an_instance\n        params", 16, "jobs.papers.stages[0].handler", ..., "is no handler", "a class"),
    ("sample_plugins:Step\n        params", "sample_plugins:EndlessStep\n        params", 16, "jobs.papers.stages[0].handler", ..., "is no duration: 'for ever'", "30s, 15m"),
    ("{characters: 5}", "{character: 5}", 17, "jobs.papers.stages[0].params.character", 5, "did you mean 'characters'?", "characters"),
    ("{characters: 5}", "{characters: few}", 17, "jobs.papers.stages[0].params.characters", "few", "'few' is not a whole number", ""),
    ("{characters: 5}", "[5]", 17, "jobs.papers.stages[0].params", [5], "not a mapping", "keys with values"),
    ("retries: 3\n        t", "retries: -1\n        t", 18, "jobs.papers.stages[0].retries", -1, "-1 is too small", "0 or more"),
    ("retries: 3\n        t", "retries: true\n        t", 18, "jobs.papers.stages[0].retries", True, "not a whole number", ""),
    ("timeout: 10m", "timeout: soon", 19, "jobs.papers.stages[0].timeout", "soon", "is no duration", "30s, 15m"),
    ("timeout: 10m", "timeout: 0", 19, "jobs.papers.stages[0].timeout", 0, "0 is too small", "more than 0"),
    ("timeout: 10m", "timeout: -5", 19, "jobs.papers.stages[0].timeout", -5, "-5 is too small", "more than 0"),
    ("timeout: 10m", f"timeout: {'9' * 400}", 19, "jobs.papers.stages[0].timeout", ..., "is no duration", "30s"),
    ("concurrency: 2", "concurrency: 0", 20, "jobs.papers.stages[0].concurrency", 0, "0 is too small", "1 or more"),
    ("rate: 1/s", "rate: -1/s", 21, "jobs.papers.stages[0].rate", "-1/s", "is no rate", "10/s"),
    ("queue: celery", "queue: a b", 22, "jobs.papers.stages[0].queue", "a b", "has the wrong form", "a letter or a digit"),
    ("needs: [first]", "needs: [frist]", 25, "jobs.papers.stages[1].needs[0]", "frist", "did you mean 'first'?", "first"),
    ("needs: [first]", "needs: [first, first]", 25, "jobs.papers.stages[1].needs[1]", "first", "'first' is needed already", "each name once"),
    ("needs: [first]", "needs: 7", 25, "jobs.papers.stages[1].needs", 7, "not a list", "a list"),
    ("queue: celery", "needs: second", 23, "jobs.papers.stages[1]", ..., "a circle: ", "first stage"),
]
# fmt: on


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_a_mistake_is_named_with_its_line_its_value_and_what_is_allowed(problems_of, case):
    old, new, line, path, value, message, allowed = case
    assert GOOD.count(old) == 1
    problem = problems_of(GOOD.replace(old, new))[0]
    assert (problem.line, problem.path) == (line, path)
    assert value is ... or problem.value == value
    assert message in problem.message
    assert allowed in problem.allowed


def test_the_file_the_mistakes_are_made_in_is_right(load_jobs):
    assert load_jobs(GOOD).get_job("papers")


@pytest.mark.parametrize(
    ("item", "path", "message"),
    [
        ("{key: b, colour: red}", "items[1].colour", "unknown key 'colour'"),
        ("{data: {}}", "items[1].key", "'key' is missing"),
        ("{key: 5}", "items[1].key", "5 is not a text"),
        ("{key: b, data: 3}", "items[1].data", "3 is not a mapping"),
        ("7", "items[1]", "7 is not a text"),
    ],
)
def test_a_mistake_in_an_item_of_manual_is_named_once_and_where_it_stands(problems_of, item, path, message):
    text = GOOD.replace("sample_plugins:Source", "manual").replace("limit: 3", f"items: [a, {item}]")
    (problem,) = problems_of(text)
    assert problem.path == f"jobs.papers.discovery.{path}"
    assert message in problem.message


@pytest.mark.parametrize(
    ("written", "path", "message"),
    [
        ("{slect: h1}", ".slect", "did you mean 'select'?"),
        ("{select: 5}", ".select", "5 is not a text"),
        ("3", "", "3 is not a text"),
        ("[h1]", "", "['h1'] is not a text"),
        ("{select: ul, fields: {b: {selct: li}}}", ".fields.b.selct", "did you mean 'select'?"),
    ],
)
def test_a_mistake_where_a_text_or_a_mapping_may_stand_is_named_once(problems_of, written, path, message):
    step = "handler: sample_plugins:Step\n        params: {characters: 5}"
    select = f"handler: html_select\n        params: {{fields: {{a: {written}}}}}"
    (problem,) = problems_of(GOOD.replace(step, select))
    assert problem.path == f"jobs.papers.stages[0].params.fields.a{path}"
    assert message in problem.message


def test_all_mistakes_are_named_at_once_in_the_order_of_the_lines(problems_of):
    text = GOOD
    for old, new in (("version: 1", "version: 2"), ("limit: 3", "limit: 900"), ('"@daily"', "never"),
                     ("timeout: 10m", "timeout: soon"), ("needs: [first]", "needs: [frist]"),
                     ("{characters: 5}", "{characters: few}")):  # fmt: skip
        text = text.replace(old, new)
    assert [problem.line for problem in problems_of(text)] == [1, 11, 12, 17, 19, 25]


def test_a_mistake_that_two_checks_find_is_named_once(problems_of):
    (problem,) = problems_of(GOOD.replace("needs: [first]", "needs: [frist]"))
    assert problem.line == 25


def test_a_mistake_in_the_only_stage_is_no_lack_of_stages(problems_of):
    text = GOOD[: GOOD.index("      - name: second")].replace(
        "retries: 3\n        timeout", "retris: 3\n        timeout"
    )
    (problem,) = problems_of(text)
    assert problem.path == "jobs.papers.stages[0].retris"


def test_a_job_given_twice_is_named_with_both_lines(problems_of):
    (problem,) = problems_of(GOOD + "  papers:\n    title: Again\n")
    assert (problem.line, problem.path) == (26, "jobs.papers")
    assert problem.message == "duplicate key 'papers', first on line 6"


def test_an_error_prints_a_line_for_each_problem_and_pickles(write_jobs):
    path = write_jobs(GOOD.replace("concurrency: 2", "concurrency: -2").replace("version: 1", "version: x"))
    with pytest.raises(JobsFileInvalidError) as caught:
        load_jobs_file(path, {})
    assert str(caught.value).splitlines() == [
        f"{path}:1: version: 'x' is not allowed (allowed: 1)",
        f"{path}:20: jobs.papers.stages[0].concurrency: -2 is too small (allowed: 1 or more)",
    ]
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert again.problems == caught.value.problems


def test_a_secret_is_in_no_message(problems_of):
    text = GOOD.replace("limit: 3", 'token: "${TOKEN}"')
    (problem,) = problems_of(text, {"TOKEN": "hunter 2"})
    assert problem.message == "'${TOKEN}' has a blank"
    assert problem.value == "${TOKEN}"


def test_an_unset_variable_does_not_hide_other_mistakes(problems_of):
    text = GOOD.replace("limit: 3", 'limit: "${LIMIT}"\n      order: old')
    (problem,) = problems_of(text)
    assert problem.path == "jobs.papers.discovery.order"


def test_a_plugin_whose_own_check_breaks_is_named(problems_of):
    text = GOOD.replace("handler: sample_plugins:Step\n        params: {characters: 5}",
                        "handler: sample_plugins:RaisingStep\n        params: {key: x}")  # fmt: skip
    (problem,) = problems_of(text)
    assert problem.path == "jobs.papers.stages[0].params"
    assert "cannot be checked: KeyError('x')" in problem.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a mapping"),
        ("- a\n", "not a mapping"),
        ("just words\n", "not a mapping"),
        ("version: 1\njobs:\n", "an empty value is not a mapping"),
        ("version: 1\njobs: [a]\n", "['a'] is not a mapping"),
        ("version: 1\njobs:\n  a:\n", "a job must be a mapping"),
        ("version: 1\njobs:\n  a: {}\n", "'discovery' is missing"),
        ("version: 1\njobs:\n  a: {stages: [[]]}\n", "'discovery' is missing"),
        ("version: 1\njobs: {a: [\n", "did not find expected node content"),
        ("version: 1\ndefaults: 5\njobs: {}\n", "5 is not a mapping"),
    ],
)
def test_a_file_of_another_shape_is_refused_in_words(problems_of, text, message):
    assert message in " ".join(problem.message for problem in problems_of(text))


def test_a_file_that_is_not_there_is_refused_in_words(tmp_path):
    with pytest.raises(JobsFileInvalidError, match="cannot be read: No such file"):
        load_jobs_file(tmp_path / "jobs.yaml")
    with pytest.raises(JobsFileInvalidError, match="cannot be read: Is a directory"):
        load_jobs_file(tmp_path)


STAGES_AND_RESULTS = """\
    version: 1
    jobs:
      papers:
        discovery: {strategy: "sample_plugins:Source"}
        stages:
          - read_file
          - {name: chosen, handler: filter, params: {where: "results.read_file.lines > `3`"}}
          - {name: made, handler: transform, needs: [read_file], params: {templates: {text: "{{ results.read_file.text }}"}}}
"""


def test_a_stage_may_name_those_that_it_needs(load_jobs):
    assert load_jobs(STAGES_AND_RESULTS).get_job("papers")


@pytest.mark.parametrize(
    ("old", "new", "line", "parameter", "name"),
    [
        ("results.read_file.lines", "results.read_fil.lines", 7, "where", "read_fil"),
        ("results.read_file.text", "results.chosen.text", 8, "templates", "chosen"),
        ("{{ results.read_file.text", "{{ results['made'].text", 8, "templates", "made"),
        (
            "handler: filter, params: {where",
            "handler: dedupe, params: {text_from: fetch}, x: {where",
            7,
            "text_from",
            "fetch",
        ),
        ("needs: [read_file]", "needs: []", 8, "templates", "read_file"),
    ],
)
def test_a_result_of_a_stage_that_is_not_needed_is_told_before_anything_runs(
    problems_of, old, new, line, parameter, name
):
    assert STAGES_AND_RESULTS.count(old) == 1
    told = {
        (problem.line, problem.path.rpartition(".")[2])
        for problem in problems_of(STAGES_AND_RESULTS.replace(old, new))
        if f"{name!r} is no stage whose result this one is given" in problem.message
    }
    assert (line, parameter) in told
