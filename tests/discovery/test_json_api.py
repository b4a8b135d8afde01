from __future__ import annotations

import json

import pytest
from pydantic import ValidationError
from werkzeug import Response

from discovery.json_api import JsonApi
from discovery.json_paging import may_follow
from pipeline.errors import SourceRejectedError, SourceUnavailableError

SECRET = "a-secret-key"  # noqa: S105  no key to anything


@pytest.fixture
def numbers(httpserver):
    """Serve a list of numbered items at `/list`, in pages; `at` reads from a request where its page begins."""

    def start(count, size, at, **more):
        def answer(request):
            begin = at(request)
            items = [{"id": number} for number in range(count)][begin : begin + size]
            following = begin + size if begin + size < count else None
            said = {"items": items, **{name: make(following) for name, make in more.items()}}
            link = f'<{httpserver.url_for("/list")}?from={following}>; rel="next"' if following else ""
            return Response(json.dumps(said), headers={"Link": link})

        httpserver.expect_request("/list").respond_with_handler(answer)

    return start


@pytest.fixture
def api(access, httpserver):
    def make(path="/list", **params):
        return JsonApi({"url": httpserver.url_for(path), "items": "items", **params}, access)

    return make


def keys(items):
    return [int(item.key) for item in items]


def asked(httpserver):
    return [request.query_string.decode() for request, _ in httpserver.log]


# -- pages ------------------------------------------------------------------------------------------------


def test_pages_with_numbers_are_read_to_the_first_that_is_short(discover, api, numbers, httpserver):
    numbers(5, 2, lambda request: (int(request.args["page"]) - 1) * 2)
    paging = {"by": "page", "size": 2, "size_parameter": "per_page"}
    assert keys(discover(api(paging=paging))) == [0, 1, 2, 3, 4]
    assert asked(httpserver) == [f"per_page=2&page={number}" for number in (1, 2, 3)]


def test_pages_with_numbers_are_read_to_the_first_that_is_empty(discover, api, numbers, httpserver):
    numbers(4, 2, lambda request: int(request.args["p"]) * 2)
    assert keys(discover(api(paging={"by": "page", "parameter": "p", "first": 0}))) == [0, 1, 2, 3]
    assert asked(httpserver) == ["p=0", "p=1", "p=2"]


def test_pages_with_numbers_end_with_one_that_is_not_there(discover, api, httpserver):
    httpserver.expect_request("/list", query_string="page=1").respond_with_json({"items": [{"id": 0}]})
    httpserver.expect_request("/list", query_string="page=2").respond_with_json({"error": "no page"}, 404)
    strategy = api(paging={"by": "page"})
    assert keys(discover(strategy)) == [0]
    assert not strategy.problems


def test_an_offset_counts_what_was_given(discover, api, numbers, httpserver):
    numbers(5, 2, lambda request: int(request.args["offset"]))
    assert keys(discover(api(paging={"by": "offset"}))) == [0, 1, 2, 3, 4]
    assert asked(httpserver) == ["offset=0", "offset=2", "offset=4", "offset=5"]


def test_a_cursor_is_followed_until_there_is_none(discover, api, numbers, httpserver):
    numbers(5, 2, lambda request: int(request.args.get("after", 0)), next=lambda at: at)
    assert keys(discover(api(paging={"by": "cursor", "next": "next", "parameter": "after"}))) == [
        0,
        1,
        2,
        3,
        4,
    ]
    assert asked(httpserver) == ["", "after=2", "after=4"]


def test_the_header_link_is_followed_until_there_is_none(discover, api, numbers, httpserver):
    numbers(5, 2, lambda request: int(request.args.get("from", 0)))
    assert keys(discover(api(paging={"by": "link_header"}))) == [0, 1, 2, 3, 4]
    assert asked(httpserver) == ["", "from=2", "from=4"]


def test_an_address_in_the_answer_is_followed_until_there_is_none(discover, api, numbers):
    numbers(5, 2, lambda request: int(request.args.get("from", 0)), next=lambda at: at and f"/list?from={at}")
    assert keys(discover(api(paging={"by": "next_url", "next": "next"}))) == [0, 1, 2, 3, 4]


def test_parameters_may_go_into_the_body_of_a_post(discover, api, httpserver):
    for at, following in ((None, 2), (2, None)):
        said = {"q": "x", "limit": 2} | ({"cursor": at} if at else {})
        httpserver.expect_request("/list", method="POST", json=said).respond_with_json(
            {"items": [{"id": at or 0}], "next": following}
        )
    paging = {"by": "cursor", "next": "next", "into": "body", "size": 2}
    assert keys(discover(api(method="POST", body={"q": "x"}, paging=paging))) == [0, 2]


def test_a_page_that_repeats_for_ever_ends_the_list(discover, api, httpserver):
    httpserver.expect_request("/list").respond_with_json({"items": [{"id": 1}]})
    strategy = api(paging={"by": "page"})
    assert keys(discover(strategy)) == [1]
    assert "gives the same page again and again" in strategy.problems[0]
    assert len(httpserver.log) == 2


def test_a_cursor_that_goes_back_ends_the_list_with_what_was_there(discover, api, numbers, httpserver):
    numbers(9, 2, lambda request: int(request.args.get("cursor", 0)), next=lambda at: at if at < 6 else 2)
    strategy = api(paging={"by": "cursor", "next": "next"})
    assert keys(discover(strategy)) == [0, 1, 2, 3, 4, 5]
    assert "leads back to a page that was there before" in strategy.problems[0]
    assert len(httpserver.log) == 3


def test_a_bound_on_the_pages_holds(discover, api, numbers, httpserver):
    numbers(100, 2, lambda request: int(request.args.get("cursor", 0)), next=lambda at: at)
    assert len(discover(api(paging={"by": "cursor", "next": "next"}, max_pages=3))) == 6
    assert len(httpserver.log) == 3


# -- going on ---------------------------------------------------------------------------------------------


def test_a_discovery_that_was_killed_goes_on_at_its_cursor(memory, numbers, httpserver):
    numbers(6, 2, lambda request: int(request.args.get("cursor", 0)), next=lambda at: at)
    params = {
        "url": httpserver.url_for("/list"),
        "items": "items",
        "paging": {"by": "cursor", "next": "next"},
    }
    with memory.killed_after(2):
        memory.discover(JsonApi, params)
    httpserver.clear_log()
    memory.discover(JsonApi, params)
    assert asked(httpserver) == ["cursor=4"]
    assert sorted(map(int, memory.items)) == [0, 1, 2, 3, 4, 5]


def test_an_api_that_only_adds_is_gone_on_with_at_its_last_cursor(memory, numbers, httpserver):
    params = {
        "url": httpserver.url_for("/list"),
        "items": "items",
        "paging": {"by": "cursor", "next": "next"},
        "incremental": True,
    }
    numbers(4, 2, lambda request: int(request.args.get("cursor", 0)), next=lambda at: at)
    memory.discover(JsonApi, params)
    httpserver.clear()
    numbers(5, 2, lambda request: int(request.args.get("cursor", 0)), next=lambda at: at)
    memory.discover(JsonApi, params)
    assert asked(httpserver) == ["cursor=2", "cursor=4"]
    assert len(memory.items) == 5


def test_that_an_api_that_only_adds_has_added_nothing_is_no_silence(memory, httpserver):
    params = {
        "url": httpserver.url_for("/list"),
        "paging": {"by": "cursor", "next": "next"},
        "items": "items",
        "incremental": True,
    }
    nothing, one = {"items": [], "next": None}, {"items": [{"id": 1}], "next": 7}
    told = []
    for answers in ([nothing], [one, nothing], [nothing]):
        for answer in answers:
            httpserver.expect_ordered_request("/list").respond_with_json(answer)
        told += [look.unchanged for look in memory.discover(JsonApi, params).looks.values()]
    assert told == [False, False, True]


def test_a_page_that_fails_is_asked_for_again_at_the_next_discovery(memory, httpserver):
    params = {
        "url": httpserver.url_for("/list"),
        "items": "items",
        "paging": {"by": "cursor", "next": "next"},
    }
    httpserver.expect_request("/list", query_string="").respond_with_json({"items": [{"id": 1}], "next": "b"})
    httpserver.expect_oneshot_request("/list", query_string="cursor=b").respond_with_data("", 503)
    with pytest.raises(SourceUnavailableError):
        memory.discover(JsonApi, params)
    httpserver.expect_request("/list", query_string="cursor=b").respond_with_json({"items": [{"id": 2}]})
    httpserver.clear_log()
    memory.discover(JsonApi, params)
    assert asked(httpserver) == ["cursor=b"]
    assert [*memory.items] == ["1", "2"]


def test_where_a_list_goes_on_is_kept_without_the_secrets_of_its_address(memory, httpserver):
    further = f"{httpserver.url_for('/list')}?key={SECRET}&page=2"
    httpserver.expect_request("/list", query_string=f"key={SECRET}").respond_with_json(
        {"items": [{"id": 1}], "next": further}
    )
    httpserver.expect_request("/list", query_string=f"key={SECRET}&page=2").respond_with_json(
        {"items": [{"id": 2}]}
    )
    url = f"{httpserver.url_for('/list')}?key={SECRET}"
    memory.discover(JsonApi, {"url": url, "items": "items", "paging": {"by": "next_url", "next": "next"}})
    assert [*memory.items] == ["1", "2"]
    assert SECRET not in repr([(batch.source, batch.cursor) for batch in memory.batches])


# -- where it asks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "here", "may"),
    [
        ("https://a.org:443/x", "https://a.org/x", True),
        ("http://A.org/x", "http://a.org:80/x", True),
        ("https://a.org:80/x", "https://a.org/x", False),
        ("https://a.org:8443/x", "https://a.org/x", False),
        ("https://a.org:x/", "https://a.org/", False),
    ],
)
def test_a_port_that_goes_without_saying_makes_no_other_place(there, here, may):
    assert may_follow(there, here, []) is may


def test_a_next_page_at_another_host_is_not_asked_unless_it_is_named(discover, api, httpserver):
    elsewhere = f"http://127.0.0.1:{httpserver.port}/more"
    httpserver.expect_request("/list").respond_with_json({"items": [{"id": 1}], "next": elsewhere})
    httpserver.expect_request("/more").respond_with_json({"items": [{"id": 2}]})
    about = {"headers": {"X-Key": SECRET}, "paging": {"by": "next_url", "next": "next"}}
    strategy = api(**about)
    assert keys(discover(strategy)) == [1]
    assert "name its host in follow_hosts" in strategy.problems[0]
    assert [request.path for request, _ in httpserver.log] == ["/list"]
    assert keys(discover(api(**about, follow_hosts=["127.0.0.1"]))) == [1, 2]


def test_headers_are_sent_and_shown_nowhere(discover, api, httpserver):
    httpserver.expect_request("/list").respond_with_json({"error": "no"}, 401)
    strategy = api(headers={"X-Key": SECRET})
    with pytest.raises(SourceRejectedError) as caught:
        discover(strategy)
    assert httpserver.log[0][0].headers["X-Key"] == SECRET
    assert SECRET not in f"{caught.value} {strategy.problems} {[*strategy.looks]} {strategy.params!r}"


# -- what it finds ----------------------------------------------------------------------------------------


def test_an_item_is_what_its_expressions_make_of_it(discover, access, case_of):
    good = case_of("json_api").good | {"version": "updated"}
    one, two, three = discover(JsonApi(good, access))
    assert (one.key, one.version) == ("1", "2026-01-03T00:00:00Z")
    assert one.data == {
        "title": "One",
        "url": "https://example.org/1",
        "published_at": "2026-01-02T02:04:05+00:00",
    }
    assert (two.data["published_at"], two.version) == ("2026-01-02T02:04:05+00:00", None)
    assert (three.key, three.data["published_at"], three.version) == ("three", None, "3")


def test_without_an_expression_an_item_is_whole(discover, api, httpserver):
    httpserver.expect_request("/list").respond_with_json({"items": [{"id": "a", "n": {"m": [1]}}]})
    assert discover(api())[0].data == {"id": "a", "n": {"m": [1]}}


def test_unix_milliseconds_are_an_instant_too(discover, api, httpserver):
    httpserver.expect_request("/list").respond_with_json({"items": [{"id": "a", "at": 1767319445000}]})
    assert discover(api(published_at="at"))[0].data["published_at"] == "2026-01-02T02:04:05+00:00"


def test_an_answer_without_the_list_says_what_it_has(discover, api, httpserver):
    httpserver.expect_request("/list").respond_with_json({"message": "no", "code": 1})
    with pytest.raises(SourceRejectedError, match=r"no list at 'items'; it has code, message"):
        discover(api())


def test_an_item_that_is_no_object_is_counted(discover, api, httpserver):
    httpserver.expect_request("/list").respond_with_json({"items": [None, 1, "x", [], {"id": "a"}]})
    strategy = api()
    assert [item.key for item in discover(strategy)] == ["a"]
    assert strategy.refused == {"no key": 4}


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"items": "a["}, "not a JMESPath"),
        ({"items": "value(@)"}, "there is no function 'value'; did you mean 'values'"),
        ({"headers": {"X Key": "a"}}, "'X Key' is no header"),
        ({"headers": {"X-Key": "a\nb"}}, "'X-Key' is no header"),
        ({"body": {}}, "method: POST"),
        ({"incremental": True}, "incremental needs paging"),
        ({"incremental": True, "paging": {"by": "page"}}, "incremental needs paging"),
        ({"paging": {"by": "magic"}}, "magic"),
    ],
)
def test_parameters_that_do_not_fit_are_told_before_anything_is_asked(params, told):
    with pytest.raises(ValidationError, match=told):
        JsonApi({"url": "https://a.org/", **params})
