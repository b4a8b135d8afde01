"""The passwords of the containers, made up or given. Needs a Docker engine: `make containers`."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]


def test_docker_shows_no_password(demo):
    shown = [*demo.inspect(*demo.ids()), demo.compose("top"), demo.compose("logs")]
    for name in ("redis", "flower", "dashboard"):
        secret = demo.secret(name).removeprefix("celeriac:")
        assert len(secret) == 48
        assert secret not in "".join(shown)


def test_given_passwords_go_before_made_up_ones(deployment):
    given = {
        "CELERIAC_REDIS_PASSWORD": "a.b-c_d~e",
        "FLOWER_BASIC_AUTH": "me:p@ss, 'w:ord",
        "CELERIAC_DASHBOARD_LOGIN": "me:p@ss, 'w:ord",
    }
    names = "redis flower dashboard"
    script = f"make-passwords; cd /run/celeriac; make-passwords; cat {names}; stat -c %a {names}"
    shown = deployment.in_image(script, **given).stdout
    assert shown.splitlines() == [*given.values(), "600", "600", "600"]


def test_a_given_password_replaces_the_made_up_one(deployment):
    script = "make-passwords; CELERIAC_REDIS_PASSWORD=chosen make-passwords; cat /run/celeriac/redis"
    assert deployment.in_image(script).stdout.strip() == "chosen"


def test_made_up_passwords_stay_and_differ(deployment):
    names = "redis flower dashboard"
    script = f"cd /run/celeriac; make-passwords; cat {names}; make-passwords; cat {names}"
    redis, flower, dashboard, *again = deployment.in_image(script).stdout.splitlines()
    assert again == [redis, flower, dashboard]
    assert len({f"celeriac:{redis}", flower, dashboard}) == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CELERIAC_REDIS_PASSWORD", "p@ss"),
        ("FLOWER_BASIC_AUTH", "p@ss"),
        ("FLOWER_BASIC_AUTH", "p@ss:"),
        ("CELERIAC_DASHBOARD_LOGIN", ":p@sswordlong"),
        ("CELERIAC_DASHBOARD_LOGIN", "me:p@ssword"),
    ],
)
def test_a_password_that_cannot_be_used_is_refused_without_showing_it(deployment, name, value):
    refused = deployment.in_image("make-passwords", **{name: value})
    assert refused.returncode == 2
    assert name in refused.stderr
    assert "p@ss" not in refused.stderr
