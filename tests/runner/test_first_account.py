"""The account of a file, with which the dashboard of a container begins."""

from __future__ import annotations

import pytest

import tracker
from pipeline.errors import OperatorError
from runner.access import add_account, is_password, make_token
from runner.first_account import keep_first_account, read_login
from tracker import access

FIRST, SECOND = "correct horse battery", "another horse battery"


@pytest.fixture
def conn(db_path):
    with tracker.open_db(db_path) as opened:
        yield opened


def keep(conn, name="celeriac", password=FIRST):
    return keep_first_account(conn, name, password, "test")


def list_names(conn):
    return [one.name for one in access.list_accounts(conn)]


def test_whoever_has_the_file_may_do_everything(conn):
    assert keep(conn)
    (account,) = access.list_accounts(conn)
    assert (account.name, account.role) == ("celeriac", "admin")
    assert is_password(FIRST, account.password)


def test_another_start_ends_no_session(conn):
    keep(conn)
    before = access.find_account(conn, "celeriac")
    assert keep(conn)
    assert access.find_account(conn, "celeriac") == before


def test_a_new_password_in_the_file_replaces_the_one_before(conn):
    keep(conn)
    assert keep(conn, password=SECOND)
    assert is_password(SECOND, access.find_account(conn, "celeriac").password)


def test_a_new_name_in_the_file_replaces_the_one_before(conn):
    keep(conn)
    assert keep(conn, "ada")
    assert list_names(conn) == ["ada"]


def test_tokens_alone_let_nobody_log_in_so_that_it_is_made_beside_them(conn):
    make_token(conn, "grafana", "viewer", "test")
    assert keep(conn)


def test_what_somebody_changed_is_left_alone(conn):
    keep(conn)
    add_account(conn, "celeriac", "viewer", SECOND, "ann")
    assert not keep(conn)
    account = access.find_account(conn, "celeriac")
    assert (account.role, is_password(SECOND, account.password)) == ("viewer", True)


def test_it_does_not_come_back_once_it_is_removed_and_there_are_others(conn):
    keep(conn)
    add_account(conn, "ada", "admin", SECOND, "ann")
    access.remove_account(conn, "celeriac", "ada")
    assert not keep(conn)
    assert list_names(conn) == ["ada"]


def test_it_takes_nobodys_name(conn):
    keep(conn)
    add_account(conn, "ada", "viewer", SECOND, "ann")
    assert not keep(conn, "ada")
    assert list_names(conn) == ["ada", "celeriac"]


def test_a_short_password_is_refused(conn):
    with pytest.raises(OperatorError, match="at least 10"):
        keep(conn, password="short")  # noqa: S106 - it is refused
    assert access.is_open(conn)


def test_a_password_may_hold_colons(tmp_path):
    (tmp_path / "login").write_text("me:pass:word:1\n")
    assert read_login(tmp_path / "login") == ("me", "pass:word:1")


@pytest.mark.parametrize(
    "text", ["", "secretsecret", ":secretsecret", "me:", "me:secretsecret\nyou:secretsecret"]
)
def test_a_file_that_holds_no_login_is_refused_without_showing_it(tmp_path, text):
    (tmp_path / "login").write_text(text)
    with pytest.raises(OperatorError) as refused:
        read_login(tmp_path / "login")
    assert "secretsecret" not in str(refused.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(OperatorError, match="cannot be read"):
        read_login(tmp_path / "login")
