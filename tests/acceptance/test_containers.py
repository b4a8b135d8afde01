"""`docker compose up`, for real, and what may happen to it. Needs a Docker engine: `make containers`."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

HOSTS = "SELECT DISTINCT substr(worker, 1, 12) FROM item_stages WHERE job_id = 'demo'"


def test_every_worker_takes_part_in_the_demo(demo):
    demo.assert_each_stage_finished_once()
    assert {row[0] for row in demo.read(HOSTS)} == {name[:12] for name in demo.ids("worker")}


def test_every_service_becomes_healthy(demo):
    demo.wait_until_all_are_healthy()
    assert len(demo.ids(*demo.services)) == 7


def test_status_is_shown_inside_a_worker(demo):
    assert "demo" in demo.celeriac("status")


def test_the_image_does_not_run_as_root(demo):
    assert demo.in_image("id -u").stdout.strip() == "10001"


def test_flower_shows_three_workers_and_tasks_by_job_and_stage(demo):
    demo.wait_until(lambda: len(demo.flower("/api/workers?refresh=1").json()) == 3, 60)
    demo.reset_demo()
    demo.wait_until_the_demo_is_done()

    def shown():
        return {task["name"]: task for task in demo.flower("/api/tasks?limit=20000").json().values()}

    demo.wait_until(lambda: {"demo.read", "demo.outline", "demo.summarise"} <= shown().keys(), 30)
    assert shown()["demo.outline"]["args"].strip("'\"").endswith(".py")


def test_flower_refuses_whoever_has_no_password(demo):
    assert demo.flower("/api/workers", auth=False).status_code == 401
    assert demo.flower("/", auth=False).status_code == 401


def test_only_the_dashboard_and_flower_are_published_and_only_to_this_machine(demo):
    services = [json.loads(line) for line in demo.compose("ps", "--format", "json").splitlines()]
    published = {
        (service["Service"], port["URL"], port["PublishedPort"])
        for service in services
        for port in service["Publishers"] or ()
        if port["PublishedPort"]
    }
    assert published == {("flower", "127.0.0.1", 5555), ("dashboard", "127.0.0.1", 8765)}


@pytest.mark.parametrize("service", ["worker", "redis"])
def test_a_service_killed_in_the_middle_loses_nothing_and_repeats_nothing(demo, service):
    demo.reset_demo()
    demo.wait_for_the_middle()
    demo.compose("kill", service)
    demo.up()
    demo.wait_until_the_demo_is_done()
    demo.assert_each_stage_finished_once()


def test_stopped_workers_end_what_they_run(demo):
    demo.reset_demo()
    demo.wait_for_the_middle()
    demo.compose("stop", "worker")
    assert demo.count("SELECT count(*) FROM item_stages WHERE status = 'in_progress'") == 0
    demo.up()
    demo.wait_until_the_demo_is_done()
    demo.assert_each_stage_finished_once()


def test_jobs_yaml_is_followed_when_an_editor_replaces_it(demo):
    new = demo.folder / "jobs.yaml.new"
    added = "  licence:\n    discovery: {strategy: local_files, root: /jobs, include: [LICENSE]}\n"
    added += '    schedule: "@hourly"\n    stages: [read_file]\n'
    new.write_text((demo.folder / "jobs.yaml").read_text() + "\n" + added)
    new.replace(demo.folder / "jobs.yaml")
    done = "SELECT count(*) FROM work_items WHERE job_id = 'licence' AND status = 'done'"
    demo.wait_until(lambda: demo.count(done) == 1, 60)
