from __future__ import annotations

from pathlib import Path

import pytest
from kombu import Connection
from kombu.transport.redis import Transport
from pydantic import ValidationError

from pipeline.errors import OperatorError
from pipeline.settings import (
    _SECRETS,
    BROKER_SCHEMES,
    Settings,
    describe_settings,
    load_settings,
    variable_name,
)
from runner.broker import connect_to


@pytest.fixture(autouse=True)
def _without_settings(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(variable_name(name), raising=False)
    monkeypatch.chdir(tmp_path)


def test_without_any_setting_all_is_in_the_working_directory():
    settings = load_settings()
    assert settings.db_path == Path("data/tracker.db")
    assert (settings.jobs, settings.broker_url, settings.contact) == (Path("jobs.yaml"), None, None)
    assert settings.allow_hosts == ()


def test_the_database_is_in_the_data_folder_unless_said_otherwise(monkeypatch):
    monkeypatch.setenv("CELERIAC_DATA", "/srv/c")
    assert load_settings().db_path == Path("/srv/c/tracker.db")
    monkeypatch.setenv("CELERIAC_DB", "/fast/t.db")
    assert load_settings().db_path == Path("/fast/t.db")


def test_the_environment_goes_before_the_env_file(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("CELERIAC_JOBS=file.yaml\nCELERIAC_DATA=from-file\nOTHER=1\n")
    monkeypatch.setenv("CELERIAC_JOBS", "environment.yaml")
    settings = load_settings()
    assert (settings.jobs, settings.data) == (Path("environment.yaml"), Path("from-file"))


def test_an_empty_value_means_unset(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.setenv(variable_name(name), "")
    assert load_settings() == Settings()


def test_hosts_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("CELERIAC_ALLOW_HOSTS", " Wiki.Corp, 10.0.0.0/8 ,fd00::/8,127.0.0.1,")
    assert load_settings().allow_hosts == ("wiki.corp", "10.0.0.0/8", "fd00::/8", "127.0.0.1")


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("CELERIAC_ALLOW_HOSTS", "wiki, 10.0.0.0/99", "'10.0.0.0/99' is neither a host name"),
        ("CELERIAC_ALLOW_HOSTS", "http://wiki/", "'http://wiki/' is neither"),
        ("CELERIAC_CONTACT", "me", "'me' is neither a mail address"),
        ("CELERIAC_CONTACT", "a@b.org\r\nX-Evil: 1", "is neither a mail address"),
        ("CELERIAC_BROKER_URL", "localhost", "not a URL; write redis://"),
        ("CELERIAC_BROKER_URL", "me:hunter2://x", "not a URL; write redis://"),
        ("CELERIAC_BROKER_URL", "rdis://x", r"by rdis://; did you mean redis://\? \(allowed: redis://,"),
        ("CELERIAC_BROKER_URL", "redis://:hunter/2@host/0", "its port is no number"),
        ("CELERIAC_TOGETHER", "x", r"'x' is not a whole number \(allowed: a whole number\)$"),
        ("CELERIAC_TOGETHER", "65", r"'65' is too large \(allowed: 64 or less\)$"),
        ("CELERIAC_ATTEMPT_LOGS", "all", r"'all' is not allowed \(allowed: 'debug', 'info',"),
        ("CELERIAC_BROKER_URL", "amqp://x", r"by amqp:// \(allowed: redis://, rediss://, redis\+socket://\)"),
    ],
)
def test_a_bad_value_names_its_variable(monkeypatch, variable, value, reason):
    monkeypatch.setenv(variable, value)
    with pytest.raises(OperatorError, match=f"^{variable}: .*{reason}"):
        load_settings()


def test_no_mistake_in_a_secret_setting_shows_it(monkeypatch):
    secret = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert secret == _SECRETS


@pytest.mark.parametrize("scheme", BROKER_SCHEMES)
def test_every_scheme_that_is_allowed_is_one_that_celery_and_our_own_client_know(monkeypatch, scheme):
    url = f"{scheme}:///tmp/broker.sock" if "socket" in scheme else f"{scheme}://host:6379/0"
    monkeypatch.setenv("CELERIAC_BROKER_URL", url)
    assert load_settings().broker_url.get_secret_value() == url
    assert issubclass(Connection(url).get_transport_cls(), Transport)
    connect_to(url).close()


def test_every_bad_value_is_named_at_once(monkeypatch):
    monkeypatch.setenv("CELERIAC_CONTACT", "me")
    monkeypatch.setenv("CELERIAC_BROKER_URL", "localhost")
    with pytest.raises(OperatorError, match=r"(?s)CELERIAC_BROKER_URL.*CELERIAC_CONTACT"):
        load_settings()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"CELERIAC_DASHBOARD_URL": "celeriac.example.org"}, "CELERIAC_DASHBOARD_URL: not the address"),
        (
            {"CELERIAC_DASHBOARD_URL": "https://me:hunter2@x.example"},
            "CELERIAC_DASHBOARD_URL: not the address",
        ),
        ({"CELERIAC_SIGNING_KEY": "near.key"}, "^CELERIAC_SIGNING_KEY, CELERIAC_SIGNING_CERTIFICATE and"),
        ({"CELERIAC_CACHE_MB": "0"}, "CELERIAC_CACHE_MB: "),
    ],
)
def test_settings_of_another_machine_that_cannot_be_are_refused(monkeypatch, given, problem):
    for name, text in given.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(OperatorError, match=problem) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_a_token_is_not_shown(monkeypatch):
    monkeypatch.setenv("CELERIAC_TOKEN", "celeriac_s3cret")
    assert "s3cret" not in f"{load_settings()!r} {load_settings().model_dump(mode='json')}"


def test_a_password_is_in_no_message(monkeypatch):
    monkeypatch.setenv("CELERIAC_BROKER_URL", "redis:hunter2@host")
    with pytest.raises(OperatorError) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("CELERIAC_BROKER_URL", "redis://:hunter2@host/0")
    assert "hunter2" not in repr(load_settings())


def test_an_env_file_that_is_no_text_is_an_error_of_the_operator(tmp_path):
    (tmp_path / ".env").write_bytes(b"CELERIAC_JOBS=\xff\n")
    with pytest.raises(OperatorError, match=r"\.env is not UTF-8"):
        load_settings()


def test_settings_do_not_change():
    with pytest.raises(ValidationError):
        load_settings().jobs = Path("other.yaml")


def test_every_setting_has_a_description_for_people():
    descriptions = list(describe_settings())
    assert len(descriptions) == len(Settings.model_fields)
    assert all(setting.description.endswith(".") for setting in descriptions)
