"""People are told once for each trouble, and when it is over; what could not be sent is tried again, and shows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from workshop import job, step

from pipeline.notify import name_channel
from runner.notices import review_notices
from runner.sweep import sweep
from tracker import discoveries, held, notices, sources
from tracker.chores import begin_chore, fail_chore
from tracker.clock import now_ms
from tracker.connection import write
from tracker.host_waits import wait_for_host
from tracker.notice_messages import list_unsent, note_sent, take_message
from tracker.troubles import list_general_troubles

SECRET = "hooks-secret-path"  # noqa: S105 - the part of an address that is one


@pytest.fixture
def clock():
    """Stand still, until the test says that time passes."""
    with time_machine.travel(datetime(2026, 6, 1, 12, tzinfo=UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def told(httpserver):
    """List what the chat was told, oldest first."""
    httpserver.expect_request(f"/{SECRET}").respond_with_data("ok")

    def read():
        return [json.loads(request.data)["text"] for request, _ in httpserver.log]

    return read


@pytest.fixture
def open_watched(open_workshop, httpserver, clock):
    """Open a workshop whose jobs.yaml tells a chat."""

    def make(says=None, **more):
        shop = open_workshop(papers=job(step("fetch"), **more))
        write_notify(shop, {"to": [httpserver.url_for(f"/{SECRET}")]} if says is None else says)
        return shop

    return make


def write_notify(shop, notify, **top):
    path = shop.runtime.settings.jobs
    path.write_text(json.dumps({**json.loads(path.read_text()), "notify": notify, **top}))
    shop.look_again()
    assert bool(shop.runtime.jobs.notify) == (notify is not None)


def pause_by_breaker(shop, reason="10 failures in a row: fetch: TimeoutError"):
    with write(shop.conn):
        shop.conn.execute(
            "INSERT INTO pauses (scope, job_id, cause, reason, by, since_at)"
            " VALUES ('job', 'papers', 'breaker', ?, 'x', 1)"
            " ON CONFLICT DO UPDATE SET reason = excluded.reason",
            (reason,),
        )


def hold_one(conn):
    with write(conn):
        conn.execute(
            "INSERT INTO held_items (job_id, key, data, priority, source, held_at)"
            " VALUES ('papers', 'h', '{}', 0, '', 1)"
        )


def lift(shop):
    with write(shop.conn):
        shop.conn.execute("DELETE FROM pauses")


def pass_time(clock, **span):
    clock.shift(timedelta(**span))


def fail_items(shop, count, of):
    def fail(context):
        if int(context.key) < count:
            raise ValueError("it broke")
        return {}

    shop.acts["fetch"] = fail
    shop.run(*map(str, range(of)))


def test_a_trouble_is_told_once_however_often_it_is_looked_at_and_once_when_it_is_over(
    open_watched, told, clock
):
    shop = open_watched()
    pause_by_breaker(shop)
    for _ in range(5):
        review_notices(shop.runtime)
        pass_time(clock, minutes=10)
    (opened,) = told()
    assert opened.startswith("celeriac: papers: breaker\npaused: 10 failures in a row: fetch: TimeoutError")
    lift(shop)
    for _ in range(5):
        review_notices(shop.runtime)
        pass_time(clock, minutes=10)
    assert len(told()) == 2
    assert told()[1].startswith("celeriac: over after 1 h: papers: breaker\nIt is over.")
    assert [event["kind"] for event in shop.events("notice", "notice_closed")] == ["notice", "notice_closed"]


def test_who_is_told_of_a_trouble_while_it_ends_is_told_that_it_is_over(
    open_watched, told, clock, httpserver
):
    shop = open_watched()
    httpserver.expect_oneshot_request(f"/{SECRET}").respond_with_data("later", status=503)
    pause_by_breaker(shop)
    review_notices(shop.runtime)
    pass_time(clock, minutes=2)
    taken = take_message(shop.conn)  # by another process, which is still at it when the trouble is over
    lift(shop)
    for _ in range(2):
        review_notices(shop.runtime)
        pass_time(clock, seconds=70)
    assert len(told()) == 1
    note_sent(shop.conn, taken)
    for _ in range(2):
        review_notices(shop.runtime)
    assert [words.split("\n")[0] for words in told()[1:]] == [
        "celeriac: over after 3 m 10 s: papers: breaker"
    ]


def test_a_trouble_that_comes_and_goes_within_a_minute_is_told_once(open_watched, told, clock):
    shop = open_watched()
    for _ in range(6):
        pause_by_breaker(shop)
        review_notices(shop.runtime)
        pass_time(clock, seconds=20)
        lift(shop)
        for _ in range(2):
            review_notices(shop.runtime)
            pass_time(clock, seconds=20)
    assert len(told()) == 1


def test_failures_above_a_share_are_told_and_are_over_at_half_of_it(open_watched, told, clock, httpserver):
    shop = open_watched({"on": ["failures"], "failed_share": 0.4, "to": httpserver.url_for(f"/{SECRET}")})
    path = shop.runtime.settings.jobs
    whole = json.loads(path.read_text())
    whole["jobs"]["papers"]["stages"][0]["retries"] = 0
    path.write_text(json.dumps(whole))
    shop.look_again()
    fail_items(shop, 8, of=20)
    review_notices(shop.runtime)
    (words,) = told()
    assert "8 of the 20 items that ended within the last hour failed (40%)" in words
    shop.acts["fetch"] = lambda _: {}
    shop.run(*map(str, range(100, 110)))  # 8 of 30: below the share, above its half
    for _ in range(3):
        review_notices(shop.runtime)
        pass_time(clock, minutes=2)
    assert len(told()) == 1
    shop.run(*map(str, range(200, 220)))  # 8 of 50
    for _ in range(3):
        review_notices(shop.runtime)
        pass_time(clock, minutes=2)
    assert len(told()) == 2


def test_a_few_items_are_no_share(open_watched, told):
    shop = open_watched()
    shop.acts["fetch"] = lambda _: 1 / 0
    shop.run("a", "b")
    review_notices(shop.runtime)
    assert told() == []


def test_a_silent_source_held_items_a_failing_discovery_and_a_failed_chore_are_told(
    open_watched, told, clock, httpserver
):
    shop = open_watched()
    write_notify(shop, {"to": httpserver.url_for(f"/{SECRET}")}, maintenance={"backup": {}})
    conn = shop.conn
    for found in (5, 5, 0, 0, 0):
        with write(conn):
            sources.record_looks(conn, "papers", [sources.SourceLook("feed", found=found)])
    hold_one(conn)
    run = discoveries.begin_discovery(conn, "papers")
    discoveries.fail_discovery(conn, run, "no such feed", None)
    fail_chore(conn, begin_chore(conn, "backup", 1), "no room")
    review_notices(shop.runtime)
    heads = sorted(words.split("\n")[0] for words in told())
    assert heads == [
        "celeriac: maintenance: backup",
        "celeriac: papers: discovery",
        "celeriac: papers: held",
        "celeriac: papers: silent: feed",
    ]
    held.approve_next(conn, "papers", limit=10, by="ann")
    review_notices(shop.runtime)
    pass_time(clock, minutes=2)
    review_notices(shop.runtime)
    assert told()[-1].startswith("celeriac: over after 2 m: papers: held")


def look_at(conn, **errors):
    """Look at the sources of `papers`: at one that works, and at others, with how each failed or None."""
    run = discoveries.begin_discovery(conn, "papers")
    looks = [sources.SourceLook("good", found=2)]
    looks += [
        sources.SourceLook(name, found=2 * (error is None), error=error) for name, error in errors.items()
    ]
    discoveries.finish_discovery(conn, run, discoveries.Findings(looks=looks))


def look_all_in_vain(conn):
    run = discoveries.begin_discovery(conn, "papers")
    looks = [sources.SourceLook(name, error="no network") for name in ("good", "gone")]
    discoveries.fail_discovery(conn, run, "no network", None, discoveries.Findings(looks=looks))


def test_a_source_that_fails_again_and_again_beside_others_that_work_is_told(open_watched, told, clock):
    shop = open_watched()
    for _ in range(2):
        look_at(shop.conn, gone="answered 404")
    review_notices(shop.runtime)
    assert told() == []
    for _ in range(2):
        look_at(shop.conn, gone="answered 404")
        review_notices(shop.runtime)
    (opened,) = told()
    assert opened.startswith(
        "celeriac: papers: source: gone\nthe source gone failed 3 times in a row: answered 404"
    )
    look_at(shop.conn, gone=None)
    review_notices(shop.runtime)
    pass_time(clock, minutes=2)
    review_notices(shop.runtime)
    assert told()[1].startswith("celeriac: over after 2 m: papers: source: gone")


def test_while_no_source_works_the_discovery_is_told_and_not_each_of_them(open_watched, told, clock):
    shop = open_watched()
    for _ in range(3):
        look_all_in_vain(shop.conn)
        review_notices(shop.runtime)
    assert [words.split("\n")[0] for words in told()] == ["celeriac: papers: discovery"]


def test_a_source_that_fails_is_not_over_while_no_other_works_either(open_watched, told, clock):
    shop = open_watched()
    for _ in range(3):
        look_at(shop.conn, gone="answered 404")
    review_notices(shop.runtime)
    look_all_in_vain(shop.conn)
    for _ in range(2):
        review_notices(shop.runtime)
        pass_time(clock, minutes=5)
    heads = [words.split("\n")[0] for words in told()]
    assert heads == ["celeriac: papers: source: gone", "celeriac: papers: discovery"]


@pytest.mark.parametrize("found", [None, 0])
def test_what_is_looked_at_no_more_is_no_trouble_a_day_later(found, open_watched, told, clock):
    shop = open_watched()
    look_at(shop.conn, gone=None)
    for _ in range(3):
        with write(shop.conn):
            look = sources.SourceLook("gone", found=found or 0, error=None if found == 0 else "answered 404")
            sources.record_looks(shop.conn, "papers", [look])
    for _ in range(3):
        pass_time(clock, hours=7)
        look_at(shop.conn)
    review_notices(shop.runtime)
    assert len(told()) == 1
    pass_time(clock, hours=4)
    for _ in range(2):
        review_notices(shop.runtime)
        pass_time(clock, minutes=2)
    assert told()[1].startswith("celeriac: over")


def test_what_is_looked_at_once_a_week_is_a_trouble_all_the_while(open_watched, told, clock):
    shop = open_watched()
    for _ in range(4):
        look_at(shop.conn, gone="answered 404")
        pass_time(clock, days=6)
        review_notices(shop.runtime)
        pass_time(clock, days=1)
        review_notices(shop.runtime)
    assert len(told()) == 1


def test_an_edit_of_jobs_yaml_that_is_refused_is_told(open_watched, told, clock):
    shop = open_watched()
    path = shop.runtime.settings.jobs
    before = path.read_text()
    path.write_text(before.replace("papers", "no such name"))
    shop.look_again()
    review_notices(shop.runtime)
    (opened,) = told()
    assert opened.startswith(
        "celeriac: jobs_file\njobs.yaml is refused; running processes keep the last good one: "
    )
    assert "no such name" in opened
    path.write_text(before)
    shop.look_again()
    for _ in range(2):
        review_notices(shop.runtime)
        pass_time(clock, minutes=2)
    assert told()[1].startswith("celeriac: over after 2 m: jobs_file")


def test_a_discovery_that_only_waited_for_a_paused_host_has_not_failed(open_watched, told, clock):
    shop = open_watched()
    conn = shop.conn
    run = discoveries.begin_discovery(conn, "papers")
    for _ in range(3):
        wait_for_host(conn, run, "example.org", "paused by ann", now_ms() + 60_000)
        pass_time(clock, minutes=1)
        run = discoveries.resume_discovery(conn, run.run_id)
    for _ in range(2):
        discoveries.fail_discovery(conn, run, "no answer", now_ms() + 60_000)
        review_notices(shop.runtime)
        assert told() == []
        pass_time(clock, minutes=1)
        run = discoveries.resume_discovery(conn, run.run_id)
    discoveries.fail_discovery(conn, run, "no answer", now_ms() + 60_000)
    review_notices(shop.runtime)
    assert "looking for items fails: no answer" in told()[0]


def look_in_vain(conn, slot):
    run = discoveries.begin_discovery(conn, "papers", slot)
    discoveries.drop_older_retries(conn, run)
    discoveries.fail_discovery(conn, run, "no answer", now_ms() + 60_000)


def test_a_job_that_looks_more_often_than_it_is_tried_again_is_told_of_at_the_third_look_in_vain(
    open_watched, told
):
    shop = open_watched()
    for slot in (1, 2):
        look_in_vain(shop.conn, slot)
    discoveries.finish_discovery(
        shop.conn, discoveries.begin_discovery(shop.conn, "papers", 3), discoveries.Findings()
    )
    for slot in (4, 5):
        look_in_vain(shop.conn, slot)
        review_notices(shop.runtime)
        assert told() == []
    look_in_vain(shop.conn, 6)
    review_notices(shop.runtime)
    assert "looking for items fails: no answer" in told()[0]


def test_a_reached_budget_is_told(open_watched, told):
    shop = open_watched()
    with write(shop.conn):
        shop.conn.execute("INSERT INTO budget_holds (job_id, cap, usd, expected_usd, since_at, until_at)"
                          " VALUES ('*', 'usd_per_day', 5, 0.1, 1, 1780358400000)")  # fmt: skip
    review_notices(shop.runtime)
    (words,) = told()
    assert words.startswith("celeriac: budget: usd_per_day\nthe budget usd_per_day of $5 is reached")


def test_only_what_is_asked_for_is_told_and_a_job_may_say_otherwise(open_watched, told, httpserver):
    url = httpserver.url_for(f"/{SECRET}")
    shop = open_watched({"on": ["budget"], "to": url})
    pause_by_breaker(shop)
    review_notices(shop.runtime)
    assert told() == []
    shop = open_watched({"to": url}, notify=None)
    review_notices(shop.runtime)
    assert told() == []
    shop = open_watched({"on": ["budget"], "to": url}, notify={"on": ["breaker"], "to": url})
    review_notices(shop.runtime)
    assert len(told()) == 1


def test_what_could_not_be_sent_is_tried_again_later_and_shows_without_its_secret(
    open_watched, httpserver, clock
):
    ill = httpserver.expect_request(f"/{SECRET}")
    ill.respond_with_data(status=500)
    shop = open_watched()
    pause_by_breaker(shop)
    for _ in range(3):
        assert review_notices(shop.runtime) == 0
    assert len(httpserver.log) == 1
    (unsent,) = list_unsent(shop.conn)
    assert (unsent.trouble, unsent.job, unsent.attempts) == ("breaker", "papers", 1)
    assert "500" in unsent.error
    pass_time(clock, seconds=61)
    review_notices(shop.runtime)
    assert len(httpserver.log) == 2
    ill.respond_with_data("ok")
    pass_time(clock, seconds=121)
    assert review_notices(shop.runtime) == 1
    assert list_unsent(shop.conn) == []
    everything = "\n".join(str(dict(row)) for row in shop.conn.execute("SELECT * FROM notice_messages"))
    assert SECRET not in everything


def test_a_variable_that_is_not_set_is_told_in_status_and_ends_nothing(open_watched, told):
    shop = open_watched({"to": ["${NOBODY_SET_THIS}"]})
    pause_by_breaker(shop)
    assert review_notices(shop.runtime) == 0
    assert "'NOBODY_SET_THIS' is not set" in list_unsent(shop.conn)[0].error
    assert [problem.path for problem in shop.runtime.jobs.lacks] == ["notify.to[0]"]


def test_who_could_not_be_told_of_the_beginning_is_not_told_of_the_end(open_watched, httpserver, clock):
    httpserver.expect_request(f"/{SECRET}").respond_with_data(status=500)
    shop = open_watched()
    pause_by_breaker(shop)
    review_notices(shop.runtime)
    lift(shop)
    review_notices(shop.runtime)
    pass_time(clock, minutes=2)
    review_notices(shop.runtime)
    pass_time(clock, days=1)
    review_notices(shop.runtime)
    (notice,) = notices.list_notices(shop.conn, 10)
    assert notice.closed_at is not None
    assert list_unsent(shop.conn) == []
    assert len(httpserver.log) <= 2


def test_a_reminder_comes_as_long_as_it_lasts_if_it_is_asked_for(open_watched, told, clock, httpserver):
    shop = open_watched({"remind": "1d", "to": httpserver.url_for(f"/{SECRET}")})
    pause_by_breaker(shop)
    for _ in range(5):
        review_notices(shop.runtime)
        pass_time(clock, hours=12)
    assert [words.split("\n")[0] for words in told()] == [
        "celeriac: papers: breaker",
        "celeriac: still, for 1 d: papers: breaker",
        "celeriac: still, for 2 d: papers: breaker",
    ]


def test_two_sweeps_at_once_tell_once(open_watched, told):
    shop = open_watched()
    pause_by_breaker(shop)
    review_notices(shop.runtime)
    (trouble,) = _troubles(shop)
    assert not notices.open_notice(shop.conn, trouble, ["webhook"])
    assert take_message(shop.conn) is None
    assert len(told()) == 1


def _troubles(shop):
    return list_general_troubles(shop.conn, [])


def test_a_message_whose_process_died_is_sent_by_another(open_watched, told, clock):
    shop = open_watched()
    pause_by_breaker(shop)
    (trouble,) = _troubles(shop)
    notices.open_notice(shop.conn, trouble, map(name_channel, shop.runtime.jobs.notify.to))
    assert take_message(shop.conn) is not None
    assert review_notices(shop.runtime) == 0
    pass_time(clock, minutes=4)
    assert review_notices(shop.runtime) == 1


def test_without_notify_nothing_is_opened_and_a_channel_that_is_gone_gets_nothing(
    open_watched, told, clock, httpserver
):
    shop = open_watched()
    pause_by_breaker(shop)
    (trouble,) = _troubles(shop)
    notices.open_notice(shop.conn, trouble, ["webhook 00000000"])
    assert review_notices(shop.runtime) == 0
    assert "no more" in list_unsent(shop.conn)[0].error
    write_notify(shop, None)
    review_notices(shop.runtime)
    pass_time(clock, minutes=2)
    review_notices(shop.runtime)
    assert notices.list_open_notices(shop.conn) == []
    assert told() == []


def test_an_idle_look_writes_nothing(open_watched):
    shop = open_watched()
    before = shop.conn.totalchanges()
    review_notices(shop.runtime)
    assert shop.conn.totalchanges() == before


def test_the_sweep_tells(open_watched, told):
    shop = open_watched()
    hold_one(shop.conn)
    assert sweep(shop.runtime).told == 1
    assert sweep(shop.runtime).told == 0
    assert len(told()) == 1
