"""How what is sent is signed and named."""

from __future__ import annotations

import base64

import pytest

from handlers.sending import decode_secret, identify, sign

KEY = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize("secret", [KEY, f"whsec_{KEY}"])
def test_the_signature_is_that_of_the_specifications_own_libraries(secret):
    # the vector of "sign function works" in the JavaScript library's tests
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("size", [0, 23, 65])
def test_a_secret_of_another_length_is_refused_without_being_told(size):
    secret = base64.b64encode(b"k" * size).decode()
    with pytest.raises(ValueError, match="24 to 64 random bytes") as refused:
        decode_secret(f"whsec_{secret}")
    assert not secret or secret not in str(refused.value)


def test_a_secret_that_is_no_base64_is_refused():
    with pytest.raises(ValueError, match="in Base64"):
        decode_secret("whsec_" + "ü" * 40)


def test_the_name_of_what_is_sent_depends_on_job_item_stage_and_content_alone(make_context):
    def name(*content, **given):
        return identify(make_context(**{"stage": "tell"} | given), *content)

    same = name("text")
    assert name("text", attempt=7, results={"other": {}}) == same
    others = [
        name("text", job="other"),
        name("text", key="k2"),
        name("text", stage="tell-too"),
        name("text2"),
        name("te", "xt"),
        name("text", ""),
    ]
    assert len({same, *others}) == 7
    assert same.isalnum()
