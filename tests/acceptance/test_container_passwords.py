"""The passwords of the containers, made up or given. Needs a Docker engine: `make containers`."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]


def test_docker_shows_no_password(demo):
    shown = [*demo.inspect(*demo.ids()), demo.compose("top"), demo.compose("logs")]
    for name in ("redis", "flower"):
        secret = demo.secret(name).removeprefix("celeriac:")
        assert len(secret) == 48
        assert secret not in "".join(shown)


def test_given_passwords_go_before_made_up_ones(deployment):
    given = {"CELERIAC_REDIS_PASSWORD": "a.b-c_d~e", "FLOWER_BASIC_AUTH": "me:p@ss, 'w:ord"}
    script = "make-passwords; cd /run/celeriac; make-passwords; cat redis flower; stat -c %a redis flower"
    shown = deployment.in_image(script, **given).stdout
    assert shown.splitlines() == [*given.values(), "600", "600"]


def test_a_given_password_replaces_the_made_up_one(deployment):
    script = "make-passwords; CELERIAC_REDIS_PASSWORD=chosen make-passwords; cat /run/celeriac/redis"
    assert deployment.in_image(script).stdout.strip() == "chosen"


def test_made_up_passwords_stay_and_differ(deployment):
    script = "cd /run/celeriac; make-passwords; cat redis flower; make-passwords; cat redis flower"
    redis, flower, *again = deployment.in_image(script).stdout.splitlines()
    assert again == [redis, flower]
    assert flower != f"celeriac:{redis}"


@pytest.mark.parametrize(
    ("name", "value"),
    [("CELERIAC_REDIS_PASSWORD", "p@ss"), ("FLOWER_BASIC_AUTH", "p@ss"), ("FLOWER_BASIC_AUTH", "p@ss:")],
)
def test_a_password_that_cannot_be_used_is_refused_without_showing_it(deployment, name, value):
    refused = deployment.in_image("make-passwords", **{name: value})
    assert refused.returncode == 2
    assert name in refused.stderr
    assert "p@ss" not in refused.stderr
