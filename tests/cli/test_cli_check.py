from __future__ import annotations

import json
import sys

import pytest

from cli import exit_codes
from pipeline.catalog import load

BROKEN = """version: 1
jobs:
  a:
    discovery: {strategy: locl_files}
    stages:
      - fech
      - {name: article, retries: -1}
"""
LACKING = """version: 1
jobs:
  a:
    discovery: {strategy: local_files, root: "${NOT_SET_HERE}"}
    stages: [read_file]
"""


def test_a_good_file_is_shown_job_by_job(call):
    ended = call("check")
    assert ended.code == exit_codes.OK
    assert "read_file → summarise_text" in ended.out
    assert ended.err == ""


def test_every_mistake_is_named_with_its_line_as_editors_read_it(call, folder):
    (folder / "broken.yaml").write_text(BROKEN)
    ended = call("check", "broken.yaml")
    assert ended.code == exit_codes.INVALID
    assert [line.split(" ")[0] for line in ended.err.splitlines()] == [f"broken.yaml:{n}:" for n in (4, 6, 7)]
    assert "did you mean 'local_files'?" in ended.err


def test_mistakes_are_objects_in_json(call, folder):
    (folder / "broken.yaml").write_text(BROKEN)
    ended = call("check", "broken.yaml", "--json")
    told = json.loads(ended.out)
    assert (ended.code, told["ok"]) == (exit_codes.INVALID, False)
    assert [problem["line"] for problem in told["problems"]] == [4, 6, 7]
    assert told["problems"][2]["value"] == -1


def test_what_this_machine_lacks_is_no_mistake_of_the_file(call, folder):
    (folder / "jobs.yaml").write_text(LACKING)
    ended = call("check")
    assert ended.code == exit_codes.FAILED
    assert "cannot run here" in ended.out
    assert f"{folder}/jobs.yaml:4: jobs.a.discovery.root: the variable 'NOT_SET_HERE' is not set" in ended.err


def test_a_file_that_is_not_there_is_said_to_be(call):
    ended = call("check", "nothere.yaml")
    assert ended.code == exit_codes.INVALID
    assert "nothere.yaml" in ended.err


def test_a_setting_that_is_not_allowed_is_named(call, monkeypatch):
    monkeypatch.setenv("CELERIAC_CONTACT", "nobody")
    ended = call("check")
    assert ended.code == exit_codes.UNUSABLE
    assert "CELERIAC_CONTACT" in ended.err


def test_handlers_beside_jobs_yaml_are_found(shell, folder):
    (folder / "my_own_handlers.py").write_text("from handlers.read_file import ReadFile as Mine\n")
    (folder / "jobs.yaml").write_text(
        "version: 1\njobs:\n  a:\n    discovery: {strategy: manual, items: [x]}\n"
        "    stages: [{name: mine, handler: 'my_own_handlers:Mine'}]\n"
    )
    # the console script, unlike `python -m`, does not look into the working directory by itself
    assert shell("check", PYTHONSAFEPATH="1").code == exit_codes.OK


UNFINISHED = """
from discovery.base import BaseDiscovery
from handlers.base import Handler, HandlerParams


class Empty(Handler):
    pass


class Together(Handler):
    def run_batch(self, contexts):
        return [{} for _ in contexts]


class Unmakeable(Handler):
    class Params(HandlerParams):
        word: str = "none"

    def __init__(self, params):
        super().__init__(params)
        raise OSError(f"no model\\nfor {self.params.word}")

    def run(self, context):
        return {}


class Blind(BaseDiscovery):
    pass
"""


@pytest.fixture
def check_stage(call, folder, monkeypatch):
    """Check a job with this stage and strategy."""
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("SECRET_WORD", "sesame-open")
    (folder / "unfinished_plugins.py").write_text(UNFINISHED)

    def check(stage, strategy="manual, items: [a]"):
        (folder / "jobs.yaml").write_text(
            f"version: 1\njobs:\n  a:\n    discovery: {{strategy: {strategy}}}\n    stages:\n      - {stage}\n"
        )
        return call("check")

    yield check
    sys.modules.pop("unfinished_plugins", None)
    load.cache_clear()


def test_a_handler_that_overrides_no_method_is_refused(check_stage):
    ended = check_stage("{name: x, handler: 'unfinished_plugins:Empty'}")
    assert ended.code == exit_codes.INVALID
    assert "jobs.a.stages[0].handler: 'unfinished_plugins:Empty' has no run()" in ended.err


def test_a_handler_of_batches_alone_needs_a_batch(check_stage):
    ended = check_stage("{name: x, handler: 'unfinished_plugins:Together'}")
    assert ended.code == exit_codes.INVALID
    assert "has no run() (allowed: a stage with `batch`)" in ended.err
    assert check_stage("{name: x, handler: 'unfinished_plugins:Together', batch: 5}").code == exit_codes.OK


def test_a_strategy_that_overrides_no_method_is_refused(check_stage):
    ended = check_stage("read_file", strategy="'unfinished_plugins:Blind'")
    assert ended.code == exit_codes.INVALID
    assert "jobs.a.discovery.strategy: 'unfinished_plugins:Blind' has no fetch_items()" in ended.err


def test_a_handler_that_cannot_be_made_is_named_without_its_secrets(check_stage):
    stage = "{name: x, handler: 'unfinished_plugins:Unmakeable', params: {word: '${SECRET_WORD}'}"
    ended = check_stage(stage + "}")
    assert ended.code == exit_codes.FAILED
    assert "cannot run here" in ended.out
    assert "'unfinished_plugins:Unmakeable' cannot be made: OSError: no model for ${SECRET_WORD}" in ended.err
    assert check_stage(stage + ", enabled: false}").code == exit_codes.OK


def test_a_notice_by_mail_needs_no_contact_and_one_to_a_webhook_does(check_stage):
    mail = "mail: {host: mail.example.org, sender: a@example.org, to: [b@example.org]}"
    assert (
        check_stage(f"{{name: tell, handler: notify, params: {{message: x, {mail}}}}}").code == exit_codes.OK
    )
    ended = check_stage(
        "{name: tell, handler: notify, params: {message: x, webhook: 'https://example.org/'}}"
    )
    assert ended.code == exit_codes.FAILED
    assert "handler 'notify' needs a contact: set CELERIAC_CONTACT" in ended.err
