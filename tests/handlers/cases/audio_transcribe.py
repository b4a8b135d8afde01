from __future__ import annotations

KEY = "sk-case-5f1d0c7a"


def make_sample(house, path="v1", status=200, headers=None):
    answer = {"text": "The root keeps.", "usage": {"type": "duration", "seconds": 3}}
    if status != 200:
        answer = {"error": {"message": f"No, {KEY}.", "type": "error", "code": None}}
    address = house.httpserver.expect_request(f"/{path}/audio/transcriptions", method="POST")
    address.respond_with_json(answer, status=status, headers=headers)
    params = {"base_url": house.httpserver.url_for(f"/{path}"), "api_key": KEY, "model": "whisper-1"}
    sound = house.keep("talk.mp3", b"ID3\x04 as good as a sound", "audio/mpeg")
    return {"params": params, "results": {"enclosure": {"file": sound}}}


def make_endings(house):
    return {
        "skip": make_sample(house) | {"results": {}},
        "never": make_sample(house, "refused", status=401),
        "later": make_sample(house, "busy", status=429, headers={"retry-after": "20"}),
        "unexpected": make_sample(house, "ill", status=500),
    }
