from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request

import pytest

from cli import exit_codes
from tests.ports import find_free_port
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture
def port():
    return find_free_port()


@pytest.fixture
def look(port):
    """Ask the dashboard for its first page; None while it does not answer."""

    def ask():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                return answer.read().decode()
        except urllib.error.URLError:
            return None

    return ask


def test_the_dashboard_shows_the_jobs_and_stops_when_it_is_told(start, look, port, tracked, eventually):
    process = start("dashboard", "--port", str(port))
    assert "notes" in eventually(look)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENCE_SECONDS) == 0


def test_up_runs_the_dashboard_as_well(start, look, port, eventually, folder):
    process = start("up", "--concurrency", "1", "--port", str(port))
    assert "<h1>Overview</h1>" in eventually(look)
    assert f"dashboard at http://127.0.0.1:{port}/" in (folder / "log").read_text()
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=PATIENCE_SECONDS)


@pytest.fixture
def taken_port():
    """Let somebody else listen on a port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("command", ["up --concurrency 1", "dashboard"])
def test_a_port_that_somebody_else_has_is_named_and_announced_by_nobody(shell, tracked, taken_port, command):
    ended = shell(*command.split(), "--port", str(taken_port))
    assert (ended.code, ended.out) == (exit_codes.UNUSABLE, "")
    assert ended.err == (
        f"celeriac: port {taken_port} of 127.0.0.1 cannot be had (Address already in use): "
        "choose another one with --port\n"
    )


def test_a_dashboard_that_says_where_it_is_answers_there(start, look, port, tracked, eventually, folder):
    process = start("dashboard", "--port", str(port))
    eventually(lambda: f"the dashboard is at http://127.0.0.1:{port}/" in (folder / "log").read_text())
    assert "notes" in look()
    process.kill()


def test_others_can_reach_it_only_once_there_is_an_account(shell, tracked):
    ended = shell("dashboard", "--host", "0.0.0.0", "--port", "1")  # noqa: S104 - it is refused
    assert (ended.code, "celeriac access add" in ended.err) == (exit_codes.UNUSABLE, True)


@pytest.mark.parametrize(
    "options", [("--prefix", "/x"), ("--host-name", "celeriac.example.org"), ("--https",)]
)
def test_a_proxy_may_serve_it_only_once_there_is_an_account(shell, tracked, options):
    ended = shell("dashboard", "--port", "1", *options)
    assert (ended.code, "through a proxy others could reach" in ended.err) == (exit_codes.UNUSABLE, True)


def test_the_account_of_a_file_opens_the_door(start, shell, look, port, tracked, eventually, folder):
    (folder / "login").write_text("ada:correct horse battery\n")
    process = start("dashboard", "--port", str(port), "--https", "--first-account", "login")
    assert "Log in" in eventually(look)
    assert json.loads(shell("access", "--json").out)["accounts"][0]["role"] == "admin"
    process.kill()


def test_a_file_that_holds_no_account_is_refused(shell, tracked, folder):
    ended = shell("dashboard", "--port", "1", "--first-account", "nowhere")
    assert (ended.code, "cannot be read from nowhere: No such file or directory" in ended.err) == (
        exit_codes.UNUSABLE,
        True,
    )


def test_a_header_is_believed_of_a_named_proxy_alone(shell):
    assert shell("dashboard", "--user-header", "X-User").code == 2


def test_a_token_made_before_any_account_tells_that_a_browser_has_to_log_in_from_now_on(shell, tracked):
    words = "in a browser, too, one has to log in now"
    assert words in shell("access", "token", "intake").err
    shell("access", "add", "ada", given="correct horse battery\n")
    assert words not in shell("access", "token", "grafana").err


def test_accounts_and_tokens_come_and_go(shell, tracked):
    added = shell("access", "add", "ada", "--role", "operator", given="correct horse battery\n")
    assert (added.code, added.err) == (exit_codes.OK, "ada may log in as operator\n")
    assert shell("access", "add", "bob", given="short\n").code == exit_codes.UNUSABLE
    for name in ("", "x" * 81):
        for kind in (("add", "--by-proxy"), ("token",)):
            refused = shell("access", *kind, name)
            assert (refused.code, "a name has 1 to 80" in refused.err) == (exit_codes.UNUSABLE, True)
    made = json.loads(shell("access", "token", "grafana", "--may", "view", "--json").out)
    assert made["token"].startswith("celeriac_")
    assert shell("access", "token", "x", "--may", "fly").code == 2
    assert shell("access", "token", "x", "--until", "").code == exit_codes.INVALID
    listed = shell("access", "--json")
    assert made["token"] not in listed.out
    known = json.loads(listed.out)
    assert [one["name"] for one in known["accounts"]] == ["ada"]
    assert [one["scopes"] for one in known["tokens"]] == [["view"]]
    assert "ada" in shell("access").out
    assert shell("access", "revoke", str(made["token_id"])).code == exit_codes.OK
    assert shell("access", "revoke", str(made["token_id"])).code == exit_codes.NOT_FOUND
    assert shell("access", "remove", "ada").code == exit_codes.OK
    assert shell("access", "remove", "ada").code == exit_codes.NOT_FOUND
