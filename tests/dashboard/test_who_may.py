from __future__ import annotations

import stat
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import time_machine
from route_table import list_routes, made_path, needs_of
from starlette.testclient import TestClient

from dashboard import login
from dashboard.house import KEY_FILE, Served
from dashboard.login import FREE_TRIES, Throttle
from dashboard.roles import ACTIONS, Role
from dashboard.visitors import COOKIE, SESSION_SECONDS, make_session
from pipeline.errors import NotFoundError, OperatorError
from runner.access import add_account, make_token
from tracker import access
from tracker.clock import now_ms

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody


def test_without_accounts_whoever_is_at_the_machine_may_look(visit):
    assert visit().get("/").status_code == 200


def test_without_accounts_another_machine_may_not(visit):
    assert visit(client=("192.0.2.7", 50000)).get("/").status_code == 303


@pytest.mark.parametrize(
    "header", ["x-forwarded-for", "forwarded", "via", "x-real-ip", "x-forwarded-host", "x-forwarded-proto"]
)
def test_without_accounts_whoever_comes_through_a_proxy_of_this_machine_may_not(visit, header):
    assert visit(**{header: "203.0.113.9"}).get("/").status_code == 303


def test_without_accounts_whoever_asks_for_another_name_may_not(open_house):
    served = Served(hosts=Served().hosts | {"celeriac.example.org"})
    browser = TestClient(
        open_house(served), "http://celeriac.example.org", client=("127.0.0.1", 1), follow_redirects=False
    )
    assert browser.get("/").status_code == 303


def test_with_an_account_everybody_has_to_log_in(visit, accounts):
    answer = visit().get("/?sort=age")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?to=/%3Fsort%3Dage")


def test_who_has_to_log_in_is_told_when_nobody_can(visit, conn):
    make_token(conn, "intake", "operator", "test")
    assert visit().get("/").headers["location"] == "/login?to=/"
    assert "celeriac access add NAME" in visit().get("/login").text
    add_account(conn, "ada", "viewer", PASSWORD, "test")
    assert "celeriac access add NAME" not in visit().get("/login").text


def test_a_login_leads_back_to_the_page_that_was_asked_for(visit, accounts):
    data = {"name": "the viewer", "password": PASSWORD, "to": "/jobs/papers?stage=read"}
    answer = visit().post("/login", data=data)
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs/papers?stage=read")


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\n/evil.example",
        "/\r/evil.example",
    ],
)
def test_a_login_leads_nowhere_else(visit, accounts, to):
    answer = visit().post("/login", data={"name": "the viewer", "password": PASSWORD, "to": to})
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize(("name", "password"), [("the viewer", "wrong"), ("nobody", PASSWORD), ("", "")])
def test_a_wrong_name_or_password_says_not_which(visit, accounts, name, password):
    answer = visit().post("/login", data={"name": name, "password": password})
    assert answer.status_code in (403, 422)
    assert "set-cookie" not in answer.headers


def test_a_wrong_password_leaves_the_name_where_it_was_typed(visit, accounts):
    answer = visit().post("/login", data={"name": 'ann "the" <first>', "password": "wrong"})
    assert 'name="name" value="ann &#34;the&#34; &lt;first&gt;"' in answer.text


def test_where_the_only_token_was_revoked_nobody_needs_one(visit, conn):
    token_id, _ = make_token(conn, "ci", "viewer", "test")
    assert visit().get("/").status_code == 303
    access.revoke_token(conn, token_id, "test")
    assert visit().get("/").status_code == 200


def test_however_many_names_are_tried_only_so_many_are_remembered(monkeypatch):
    monkeypatch.setattr(login, "REMEMBERED", 100)
    throttle = Throttle()
    for _ in range(FREE_TRIES):
        throttle.begin_try("who has to wait")
    for number in range(1000):
        throttle.begin_try(f"name {number}")
    assert len(throttle._wrong) <= 102
    assert throttle.begin_try("who has to wait") > 0


def test_a_login_is_over_after_a_week(log_in):
    browser = log_in("viewer")
    assert browser.get("/").status_code == 200
    with time_machine.travel(time.time() + SESSION_SECONDS + 60):
        assert browser.get("/").status_code == 303


def test_whom_the_proxy_names_goes_before_an_older_login(open_house, conn, accounts):
    house = open_house(Served(user_header="X-Forwarded-User", proxies=frozenset({"127.0.0.1"})))
    browser = TestClient(house, "http://localhost", client=("127.0.0.1", 1), follow_redirects=False)
    session = make_session(house.state.house, access.find_account(conn, "the viewer"))
    browser.cookies.set(COOKIE, session, domain="localhost.local", path="/")
    assert "the viewer, viewer" in browser.get("/").text
    assert "the admin, admin" in browser.get("/", headers={"X-Forwarded-User": "the admin"}).text


@pytest.fixture
def still_clock(monkeypatch):
    """Let no time pass for who has to wait: a busy machine takes longer for a try than the first wait, a second."""
    monkeypatch.setattr(login, "time", SimpleNamespace(monotonic=lambda: 1000.0))


def test_many_wrong_passwords_have_to_wait(visit, accounts, still_clock):
    browser = visit()
    tries = [
        browser.post("/login", data={"name": "the viewer", "password": "wrong"}).status_code for _ in range(7)
    ]
    assert tries[:5] == [403] * 5
    assert tries[-1] == 429
    right = browser.post("/login", data={"name": "the viewer", "password": PASSWORD})
    assert right.status_code == 429  # also the right one, or guessing would cost nothing


def test_of_many_tries_at_once_no_more_are_free_than_of_those_one_after_the_other(still_clock):
    throttle = Throttle()
    with ThreadPoolExecutor(25) as tries:
        waits = list(tries.map(lambda _: throttle.begin_try("name ada"), range(25)))
    assert waits.count(0.0) == FREE_TRIES


def test_who_knows_the_password_has_all_free_tries_again(visit, accounts):
    browser = visit()
    for _ in range(3):
        for _ in range(FREE_TRIES - 1):
            assert try_password(browser, "wrong") == 403
        assert try_password(browser, PASSWORD) == 303


def try_password(browser, password, name="the viewer", **headers):
    return browser.post("/login", data={"name": name, "password": password}, headers=headers).status_code


PROXY = "192.0.2.1"


@pytest.fixture
def through(open_house, visit, accounts, still_clock):
    """Come through a proxy that is believed, and another one before it."""
    browser = visit(open_house(Served(proxies=frozenset({PROXY, "192.0.2.2"}))), client=(PROXY, 1))

    def attempt(came_from, password, name="the viewer"):
        return try_password(browser, password, name, **{"x-forwarded-for": came_from})

    return attempt


def test_wrong_passwords_from_one_address_behind_a_proxy_do_not_slow_down_another(through):
    tries = [through("203.0.113.6", "wrong", f"nobody {number}") for number in range(FREE_TRIES + 1)]
    assert tries == [403] * FREE_TRIES + [429]
    assert through("203.0.113.7", PASSWORD) == 303


def test_what_somebody_says_of_their_own_address_is_not_believed(through):
    tries = [
        through(f"203.0.113.{number}, 203.0.113.6, 192.0.2.2", "wrong", f"nobody {number}")
        for number in range(FREE_TRIES + 1)
    ]
    assert tries == [403] * FREE_TRIES + [429]


def test_a_proxy_that_does_not_say_who_asks_is_itself_slowed_down_for_nobody(through):
    for number in range(FREE_TRIES + 1):
        assert through("", "wrong", f"nobody {number}") == 403
    assert through("", PASSWORD) == 303


def test_who_is_no_proxy_is_counted_by_the_address_that_they_have(visit, accounts, still_clock):
    tries = [
        try_password(visit(), "wrong", f"nobody {number}", **{"x-forwarded-for": f"203.0.113.{number}"})
        for number in range(FREE_TRIES + 1)
    ]
    assert tries == [403] * FREE_TRIES + [429]


def test_a_cookie_is_for_the_server_alone(visit, accounts):
    answer = visit().post("/login", data={"name": "the viewer", "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_behind_https_a_cookie_goes_over_nothing_else(open_house, visit, accounts):
    answer = visit(open_house(Served(https=True))).post(
        "/login", data={"name": "the viewer", "password": PASSWORD}
    )
    assert "secure" in answer.headers["set-cookie"].lower()


def test_a_cookie_that_was_changed_is_no_cookie(log_in):
    browser = log_in("viewer")
    value = browser.cookies["celeriac_session"]
    browser.cookies.clear()
    browser.headers["cookie"] = f"celeriac_session={value.replace('viewer', 'admin')}"
    assert browser.get("/").status_code == 303


def test_another_password_ends_what_was_open(log_in, conn):
    browser = log_in("viewer")
    assert browser.get("/").status_code == 200
    add_account(conn, "the viewer", "viewer", "another long password", "test")
    assert browser.get("/").status_code == 303


def test_who_is_removed_is_out(log_in, conn):
    browser = log_in("viewer")
    access.remove_account(conn, "the viewer", "test")
    assert browser.get("/").status_code == 303


def test_who_logs_out_is_out(log_in):
    browser = log_in("viewer")
    assert browser.post("/logout").status_code == 303
    assert browser.get("/").status_code == 303


def test_only_its_owner_reads_the_key_of_the_cookies(log_in, settings):
    log_in("viewer")
    assert stat.S_IMODE((settings.data / KEY_FILE).stat().st_mode) == 0o600


def test_a_password_is_long_and_its_hash_never_says_it(conn):
    with pytest.raises(OperatorError, match="at least 10"):
        add_account(conn, "ada", "viewer", "short", "test")
    add_account(conn, "ada", "viewer", PASSWORD, "test")
    account = access.find_account(conn, "ada")
    assert account.password.startswith("scrypt$")
    assert PASSWORD not in account.password


# -- tokens -----------------------------------------------------------------------------------------------


def bearer(visit, token):
    return visit(client=("192.0.2.7", 50000), authorization=f"Bearer {token}")


def test_a_token_lets_a_program_in_and_is_kept_as_a_hash(visit, conn):
    token_id, token = make_token(conn, "grafana", "viewer", "test")
    assert bearer(visit, token).get("/").status_code == 200
    (kept,) = access.list_tokens(conn)
    assert (kept.token_id, kept.name) == (token_id, "grafana")
    assert kept.last_used_at is not None
    assert token not in repr(conn.execute("SELECT * FROM access_tokens").fetchall())


@pytest.mark.parametrize(
    "spoil", [str.upper, lambda token: token[:-1], lambda _: "", lambda _: "\N{SNOWMAN}"[:0]]
)
def test_another_token_lets_nobody_in(visit, conn, spoil):
    _, token = make_token(conn, "grafana", "viewer", "test")
    assert bearer(visit, spoil(token)).get("/api/openapi.json").status_code in (200, 401)
    assert bearer(visit, spoil(token)).get("/live").status_code == 401


def test_a_revoked_token_lets_nobody_in(visit, conn):
    token_id, token = make_token(conn, "grafana", "viewer", "test")
    access.revoke_token(conn, token_id, "test")
    assert bearer(visit, token).get("/").status_code == 303
    with pytest.raises(NotFoundError):
        access.revoke_token(conn, token_id, "test")


def test_a_token_ends_when_its_time_has_come(visit, conn):
    _, token = make_token(conn, "grafana", "viewer", "test", expires_at=now_ms() - 1)
    make_token(conn, "other", "viewer", "test")
    assert bearer(visit, token).get("/").status_code == 303


def test_a_token_with_scopes_may_nothing_else(visit, conn):
    _, token = make_token(conn, "intake", "operator", "test", scopes={"enqueue"})
    assert bearer(visit, token).get("/").status_code == 403


# -- a proxy ----------------------------------------------------------------------------------------------


def test_a_proxy_is_believed_who_asks_and_nobody_else(open_house, conn):
    add_account(conn, "ada", "viewer", None, "test")
    served = Served(user_header="X-Forwarded-User", proxies=frozenset({"192.0.2.1"}))
    app = open_house(served)
    headers = {"x-forwarded-user": "ada"}

    def look(address):
        client = TestClient(
            app, "http://localhost", client=(address, 1), headers=headers, follow_redirects=False
        )
        return client.get("/").status_code

    assert (look("192.0.2.1"), look("192.0.2.2")) == (200, 303)


def test_a_proxy_may_serve_it_below_a_path(open_house, visit, accounts):
    browser = visit(open_house(Served(prefix="/celeriac")))
    assert browser.get("/").headers["location"] == "/celeriac/login?to=/"
    assert 'href="/celeriac/static/celeriac.css"' in browser.get("/login").text


# -- foreign pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "", "origin": "https://evil.example"},
    ],
)
def test_another_sites_page_may_not_act(visit, headers):
    assert visit(**headers).post("/logout").status_code == 403


def test_a_browser_of_before_says_it_by_its_origin(app):
    def ask(**headers):
        return (
            TestClient(app, "http://localhost", headers=headers, follow_redirects=False)
            .post("/logout")
            .status_code
        )

    assert ask(origin="http://localhost") == 303
    assert ask(origin="http://localhost.evil.example") == 403
    assert ask(origin="null") == 403
    assert ask(origin="http://[x") == 403
    assert ask() == 403


def test_a_host_that_it_does_not_know_is_not_answered(app):
    assert TestClient(app, "http://rebound.example").get("/").status_code == 400


def test_every_answer_says_what_a_page_may_load(visit):
    for path in ("/", "/login", "/nowhere", "/static/celeriac.css"):
        headers = visit().get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"


# -- every route ------------------------------------------------------------------------------------------

OPEN_ROUTES = {"/login", "/logout", "/static", "/healthz", "/readyz", "/api/openapi.json"}


def test_every_route_says_what_it_takes(app):
    silent = {path for path, _, route in list_routes(app) if not needs_of(route)}
    assert silent <= OPEN_ROUTES


def test_every_route_refuses_whom_it_does_not_know_who_may_too_little_and_foreign_pages(app, visit, log_in):
    for path, method, route in list_routes(app):
        needs = needs_of(route)
        if not needs:
            continue
        url = made_path(path)
        assert visit().request(method, url).status_code in (303, 401), path
        least = ACTIONS[needs[0]]
        if least > Role.VIEWER:
            assert log_in("viewer").request(method, url).status_code == 403, path
        if method not in ("GET", "HEAD"):
            foreign = log_in("admin")
            foreign.headers["sec-fetch-site"] = "cross-site"
            assert foreign.request(method, url).status_code == 403, path
